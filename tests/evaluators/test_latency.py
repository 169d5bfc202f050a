from pathlib import Path
from typing import Any

import pytest

from parefront.evaluators.latency import QUICK_HALF_WIDTH, QUICK_MAX_PAIRS, LatencyEvaluator, References, latency_score
from parefront.hardware_profiles import Measurement

FP32, INT8 = Path("fp32.onnx"), Path("int8.onnx")


def measurement(latency_ms: float) -> Measurement:
    return Measurement(latency_ms, 0.9 * latency_ms, 1.1 * latency_ms, 8, True, 0.0, 0, "good", 2.0)


class FakeMeter:
    """fp32 takes 2 ms, int8 a quarter of it; remembers what it was asked."""

    def __init__(self) -> None:
        self.anchors: list[tuple[Path, float | None]] = []
        self.measured: list[tuple[Path, Path, dict[str, Any]]] = []

    def anchor(self, path: Path, known_ms: float | None = None) -> float:
        self.anchors.append((path, known_ms))
        return 2.0 if known_ms is None else known_ms

    def measure(self, path: Path, reference: Path, **options: Any) -> Measurement:
        self.measured.append((path, reference, options))
        return measurement(0.5)


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


def test_the_int8_anchor_comes_from_the_ratio_to_the_fp32_one(meter: FakeMeter) -> None:
    evaluator = LatencyEvaluator(meter, References(FP32, INT8))  # type: ignore[arg-type]
    assert evaluator.anchors_ms == (2.0, 0.5)
    assert meter.measured == [(INT8, FP32, {})]
    assert meter.anchors[-2:] == [(FP32, 2.0), (INT8, 0.5)]


def test_a_resumed_search_keeps_its_anchors(meter: FakeMeter) -> None:
    evaluator = LatencyEvaluator(meter, References(FP32, INT8), (3.0, 0.7))  # type: ignore[arg-type]
    assert evaluator.anchors_ms == (3.0, 0.7)
    assert meter.anchors == [(FP32, 3.0), (INT8, 0.7)]
    assert meter.measured == []  # nothing is measured anew


@pytest.mark.parametrize(("is_quantized", "reference"), [(False, FP32), (True, INT8)])
def test_a_candidate_alternates_with_its_own_class(meter: FakeMeter, is_quantized: bool, reference: Path) -> None:
    evaluator = LatencyEvaluator(meter, References(FP32, INT8), (2.0, 0.5))  # type: ignore[arg-type]
    candidate = Path("x.onnx")
    evaluator.measure(candidate, is_quantized=is_quantized, is_final=False)
    evaluator.measure(candidate, is_quantized=is_quantized, is_final=True)
    quick = {"max_pairs": QUICK_MAX_PAIRS, "half_width": QUICK_HALF_WIDTH}
    assert meter.measured == [(candidate, reference, quick), (candidate, reference, {})]


def test_the_score_carries_the_interval() -> None:
    score = latency_score(measurement(0.5))
    assert (score.name, score.value, score.unit, score.is_higher_better) == ("latency_ms", 0.5, "ms", False)
    assert (score.low, score.high) == pytest.approx((0.45, 0.55))
