import pytest

from parefront.evaluators.on_device import broken_limit, device_details
from parefront.hardware_profiles import Limits, Measurement, PrecisionPlan


def measurement(memory_bytes: int | None = None) -> Measurement:
    return Measurement(
        4.0, 3.9, 4.1, 8, True, 0.01, 0.0, True, 0, "good", 2.0, 0.001, batch_size=8, memory_bytes=memory_bytes
    )


def test_layers_that_ran_otherwise_do_not_count_as_executed() -> None:
    plan = PrecisionPlan(halves={"a": "bf16", "b": "bf16", "c": "fp16"})
    details = device_details(plan, ["b"], measurement())
    assert (details["planned_half"], details["executed_half"]) == (3, 2)
    assert (details["planned_int8"], details["executed_int8"]) == (0, 0)


def test_what_the_host_does_not_tell_is_absent() -> None:
    assert "memory_bytes" not in device_details(PrecisionPlan.none(), [], measurement())
    assert "energy_mj" not in device_details(PrecisionPlan.none(), [], measurement())
    assert device_details(PrecisionPlan.none(), [], measurement(7))["memory_bytes"] == 7


def test_throughput_counts_samples() -> None:
    # 8 samples in 4 ms.
    assert device_details(PrecisionPlan.none(), [], measurement())["samples_per_s"] == 2000.0


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(), ""),
        (Limits(max_size_bytes=100), ""),
        (Limits(max_size_bytes=99), "its file has 100 bytes, the device has room for 99"),
        (Limits(max_memory_bytes=49), "it takes 50 bytes of memory, the device has 49"),
        (Limits(max_latency_ms=3.9), ""),
        (Limits(max_latency_ms=3.8), "it takes 4 ms, the limit is 3.8 ms"),
    ],
)
def test_the_broken_limit_is_said_in_words(limits: Limits, words: str) -> None:
    assert broken_limit(limits, 100, measurement(50)) == words


def test_memory_that_was_not_measured_breaks_no_limit() -> None:
    assert broken_limit(Limits(max_memory_bytes=1), 100, measurement(None)) == ""
