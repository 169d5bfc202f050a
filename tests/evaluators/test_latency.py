from pathlib import Path
from typing import Any

import pytest

from parefront.evaluators.latency import (
    QUICK_HALF_WIDTH,
    QUICK_MAX_PAIRS,
    REANCHOR_S,
    LatencyEvaluator,
    latency_score,
    precision_class,
)
from parefront.hardware_profiles import Measurement, PrecisionPlan, TensorQuantization

FP32, BF16, INT8 = Path("fp32.onnx"), Path("bf16.onnx"), Path("int8.onnx")
REFERENCES = {"fp32": FP32, "bf16": BF16, "int8": INT8}
KNOWN_MS = {"fp32": 3.0, "bf16": 1.5, "int8": 0.7}
QUICK = {"max_pairs": QUICK_MAX_PAIRS, "half_width": QUICK_HALF_WIDTH}


def measurement(latency_ms: float) -> Measurement:
    return Measurement(
        latency_ms, 0.9 * latency_ms, 1.1 * latency_ms, 8, True, 0.0, 0.0, True, 0, "good", 2.0, reference_drift=0.0
    )


class FakeMeter:
    """fp32 takes 2 ms, everything else a quarter of it; remembers what it was asked."""

    def __init__(self) -> None:
        self.anchors: dict[Path, float] = {}
        self.measured: list[tuple[Path, Path, dict[str, Any]]] = []
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def anchor(self, path: Path, known_ms: float | None = None) -> float:
        self.anchors[path] = 2.0 if known_ms is None else known_ms
        return self.anchors[path]

    def measure(self, path: Path, reference: Path, **options: Any) -> Measurement:
        self.measured.append((path, reference, options))
        return measurement(0.5)


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


def evaluator_on(meter: FakeMeter, known_ms: dict[str, float] | None = None) -> LatencyEvaluator:
    return LatencyEvaluator(meter, REFERENCES, known_ms, clock=meter.clock)  # type: ignore[arg-type]


def test_the_other_anchors_come_from_the_ratio_to_the_fp32_one(meter: FakeMeter) -> None:
    evaluator = evaluator_on(meter)
    assert evaluator.anchors_ms == {"fp32": 2.0, "bf16": 0.5, "int8": 0.5}
    assert meter.measured == [(BF16, FP32, {}), (INT8, FP32, {})]
    assert meter.anchors == {FP32: 2.0, BF16: 0.5, INT8: 0.5}


def test_a_resumed_search_keeps_its_anchors(meter: FakeMeter) -> None:
    evaluator = evaluator_on(meter, KNOWN_MS)
    assert evaluator.anchors_ms == KNOWN_MS
    assert meter.anchors == {FP32: 3.0, BF16: 1.5, INT8: 0.7}
    assert meter.measured == []  # nothing is measured anew


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_candidate_alternates_with_its_own_class(meter: FakeMeter, precision: str) -> None:
    evaluator = evaluator_on(meter)
    candidate = Path("x.onnx")
    meter.measured.clear()
    evaluator.measure(candidate, precision, is_final=False)
    evaluator.measure(candidate, precision, is_final=True)
    assert meter.measured == [(candidate, REFERENCES[precision], QUICK), (candidate, REFERENCES[precision], {})]


def test_old_ratios_between_references_are_measured_again_before_a_final_measurement(meter: FakeMeter) -> None:
    evaluator = evaluator_on(meter)
    meter.now_s = REANCHOR_S + 1.0
    meter.measured.clear()
    evaluator.measure(Path("x.onnx"), "int8", is_final=False)
    assert [path for path, _, _ in meter.measured] == [Path("x.onnx")]
    evaluator.measure(Path("x.onnx"), "int8", is_final=True)
    assert [path for path, _, _ in meter.measured[1:]] == [BF16, INT8, Path("x.onnx")]


def test_anchors_of_an_earlier_session_are_old(meter: FakeMeter) -> None:
    evaluator = evaluator_on(meter, KNOWN_MS)
    evaluator.measure(Path("x.onnx"), "int8", is_final=True)
    assert evaluator.anchors_ms == {"fp32": 3.0, "bf16": 0.5, "int8": 0.5}


def test_the_class_of_a_network_is_that_of_its_fewest_bits() -> None:
    int8 = {"fc.weight": TensorQuantization(8, (1.0,), (0,), axis=0, is_signed=True)}
    assert precision_class(PrecisionPlan.none()) == "fp32"
    assert precision_class(PrecisionPlan(halves={"conv": "bf16"})) == "bf16"
    assert precision_class(PrecisionPlan(int8, halves={"conv": "bf16"})) == "int8"


def test_the_score_carries_the_interval() -> None:
    score = latency_score(measurement(0.5))
    assert (score.name, score.value, score.unit, score.is_higher_better) == ("latency_ms", 0.5, "ms", False)
    assert (score.low, score.high) == pytest.approx((0.45, 0.55))
