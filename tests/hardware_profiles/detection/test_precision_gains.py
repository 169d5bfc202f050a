"""Which precisions are offered: made-up ratios, and a meter that pretends."""

from pathlib import Path

import pytest

from parefront.hardware_profiles import MeasurementError, OperatorTime
from parefront.hardware_profiles.detection.precision_gains import (
    PrecisionFinding,
    Ratio,
    RuntimeFinding,
    judge_precision,
    try_precisions,
    word_bits,
    word_precisions,
)
from parefront.hardware_profiles.measuring.measurement import Measurement

INT8_LAYERS = ("stem", "conv1", "conv2", "down", "conv3", "conv4", "classifier")  # of the residual network


class PretendedMeter:
    """Gives made-up times; files must be there."""

    def __init__(self, ratio: float = 0.5, layers: tuple[str, ...] = INT8_LAYERS, error: str = "") -> None:
        self.ratio, self.layers, self.error = ratio, layers, error

    def anchor(self, reference_path: Path) -> float:
        assert reference_path.is_file()
        return 2.0

    def measure(self, path: Path, reference_path: Path) -> Measurement:
        assert path.is_file()
        if self.error:
            raise MeasurementError(self.error)
        time_ms = 2.0 * self.ratio
        return Measurement(
            time_ms, time_ms * 0.99, time_ms * 1.01, 8, True, 0.0, 0.0, True, 0, "good", 2.0, reference_drift=0.0
        )

    def profile_operators(self, path: Path, repeats: int) -> tuple[OperatorTime, ...]:
        return tuple(OperatorTime(layer, "Kernel", "int8", 1.0) for layer in self.layers)


def ratios(*values: float, width: float = 0.01) -> dict[str, Ratio]:
    return {str(i): Ratio(value, max(value - width, 0.0), value + width) for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (ratios(0.5, 0.5, 0.5), ""),
        (ratios(0.5, 0.5, 1.1), ""),  # It pays on average; the search decides by layer.
        (ratios(0.95, 0.95, 0.95), ""),
        (ratios(0.96, 0.96, 0.96), "gains less than 5%"),
        (ratios(1.8, 1.7, 1.9), "slower than fp32"),
        (ratios(0.9, 0.9, 0.9, width=0.2), "too noisy to say that it is faster"),
        (ratios(0.5, 0.5), "not all networks could be measured"),
    ],
    ids=["twice", "mixed", "limit", "tie", "slower", "noisy", "incomplete"],
)
def test_a_precision_is_offered_where_it_was_measured_to_pay(found: dict[str, Ratio], reason: str) -> None:
    finding = judge_precision("bf16", found, n_networks=3)
    assert finding.reason == reason
    assert finding.is_offered is not bool(reason)


def test_the_mean_is_geometric_also_of_the_bounds() -> None:
    mean = judge_precision(8, {"a": Ratio(0.25, 0.16, 0.5), "b": Ratio(1.0, 1.0, 2.0)}, 2).mean
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.5, 0.4, 1.0))


def test_a_failure_is_the_reason() -> None:
    finding = judge_precision(8, ratios(0.5), 1, "conv1: refused")
    assert (finding.reason, finding.mean) == ("conv1: refused", None)


def test_a_runtime_offers_what_pays_and_is_as_quick_as_its_best() -> None:
    findings = (
        judge_precision("bf16", ratios(0.8, 0.8), 2),
        judge_precision("fp16", ratios(0.1, 0.1, width=2.0), 2),  # Too noisy: counts for nothing.
        judge_precision(8, ratios(0.5, 0.5), 2),
    )
    runtime = RuntimeFinding("openvino", {"a": 1.0, "b": 4.0}, findings)
    assert runtime.offered == (32, "bf16", 8)
    assert runtime.fastest == 8
    assert runtime.best_ms == pytest.approx(1.0)  # the geometric mean 2, halved


def test_a_runtime_without_gains_is_as_quick_as_in_float() -> None:
    runtime = RuntimeFinding("torch", {"a": 3.0}, (PrecisionFinding("bf16", {}, None, "slower"),))
    assert (runtime.offered, runtime.fastest, runtime.best_ms) == ((32,), 32, pytest.approx(3.0))


def test_networks_are_measured_in_each_precision(tmp_path: Path) -> None:
    steps: list[str] = []
    found = try_precisions("onnxruntime", PretendedMeter(), tmp_path, ["residual"], steps.append)
    assert found.float_ms == {"residual": 2.0}
    (int8,) = found.precisions
    assert int8.is_offered
    assert int8.ratios["residual"].value == pytest.approx(0.5)
    assert steps == ["onnxruntime, residual in fp32", "onnxruntime, residual in int8"]


def test_what_the_runtime_did_not_execute_is_not_offered(tmp_path: Path) -> None:
    meter = PretendedMeter(layers=INT8_LAYERS[:3])
    (int8,) = try_precisions("onnxruntime", meter, tmp_path, ["residual"], lambda what: None).precisions
    assert int8.reason == "residual: only 3 of 7 layers were executed in int8"


def test_what_cannot_be_measured_is_not_offered_but_said(tmp_path: Path) -> None:
    meter = PretendedMeter(error="it crashed")
    (int8,) = try_precisions("onnxruntime", meter, tmp_path, ["residual"], lambda what: None).precisions
    assert int8.reason == "residual: it crashed"
    assert not int8.is_offered


def test_precisions_are_called_as_people_do() -> None:
    assert word_precisions((32, "bf16", "fp16", 8)) == "fp32, bf16, fp16, int8"
    assert word_bits(4) == "int4"
