import dataclasses
import math

import pytest

from parefront.evaluators.on_device import broken_limit, device_details, energy_score, memory_score
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
    details = device_details(PrecisionPlan(sparse=("a", "b")), ["b"], measurement())
    assert (details["planned_sparse"], details["executed_sparse"]) == (2, 1)


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


def test_memory_is_told_in_whole_steps_of_64_kib() -> None:
    step = 65536
    measured = dataclasses.replace(
        measurement(3 * step + 1), memory_low_bytes=2 * step, memory_high_bytes=int(3.5 * step)
    )
    score = memory_score(measured)
    assert score is not None
    assert (score.name, score.unit, score.is_higher_better) == ("memory_bytes", "bytes", False)
    assert (score.low, score.value, score.high) == (2 * step, 4 * step, 4 * step)


def test_a_network_that_fits_into_memory_given_back_still_takes_a_step() -> None:
    measured = dataclasses.replace(measurement(0), memory_low_bytes=0, memory_high_bytes=0)
    score = memory_score(measured)
    assert score is not None
    assert (score.low, score.value, score.high) == (65536, 65536, 65536)


def test_energy_has_the_interval_of_its_bursts() -> None:
    measured = dataclasses.replace(measurement(), energy_mj=3.0, energy_low_mj=2.5, energy_high_mj=3.5)
    score = energy_score(measured)
    assert score is not None
    assert (score.name, score.unit, score.is_higher_better) == ("energy_mj", "mJ", False)
    assert (score.low, score.value, score.high) == (2.5, 3.0, 3.5)


def test_energy_of_too_few_bursts_has_no_interval() -> None:
    measured = dataclasses.replace(measurement(), energy_mj=3.0, energy_low_mj=-math.inf, energy_high_mj=math.inf)
    score = energy_score(measured)
    assert score is not None
    assert (score.low, score.value, score.high) == (None, 3.0, None)


def test_what_was_not_measured_is_no_score() -> None:
    assert memory_score(measurement(None)) is None
    assert energy_score(measurement()) is None
    # The counter did not move.
    assert energy_score(dataclasses.replace(measurement(), energy_mj=0.0, energy_low_mj=0, energy_high_mj=0)) is None
