import math

import pytest

from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import SearchError
from parefront.search.objectives import DEFAULT_OBJECTIVES, Objective, Objectives, parse_objectives, quantity_name
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration


def trial(number: int, **values: float) -> Trial:
    scores = {name.replace("__", "@"): Score(name, value, "", False) for name, value in values.items()}
    return Trial(number, Configuration(), Fidelity.SHORT, State.COMPLETE, scores)


BASELINE = trial(0, accuracy_drop=0.0, latency_ms=64.0, size_bytes=6400.0, macs=1e6, latency_ms__board=10.0)


def test_points_by_hand() -> None:
    # Half of five points; 8 of 64 times faster is half of the logarithm; 64 times smaller is all of it.
    half = trial(1, accuracy_drop=2.5, latency_ms=8.0, size_bytes=100.0)
    assert DEFAULT_OBJECTIVES.point(half, BASELINE) == pytest.approx((0.5, -0.5, -1.0))
    assert DEFAULT_OBJECTIVES.point(BASELINE, BASELINE) == (0.0, 0.0, 0.0)


def test_any_objectives_in_the_order_in_which_they_were_asked_for() -> None:
    axes = parse_objectives(["macs", "latency@board", "accuracy"], ["cpu", "board"])
    assert axes.names == ("macs", "latency@board", "accuracy")
    assert [axis.score for axis in axes] == ["macs", "latency_ms@board", "accuracy_drop"]
    # 1/8 of the MACs, 1/4 of the latency on the board, a point gained.
    better = trial(1, macs=125e3, latency_ms__board=2.5, accuracy_drop=-1.0)
    assert axes.point(better, BASELINE) == pytest.approx((-1 / 2, -1 / 3, -0.2))
    assert axes.reference == (0.0, 0.0, 1.0)
    assert axes.ideal == (-1.0, -1.0, 0.0)
    assert axes.clipped((-2.0, -0.5, -0.2)) == (-1.0, -0.5, 0.0)
    assert axes.main_cost.name == "macs"


def test_the_box_has_the_volume_of_one() -> None:
    worst = trial(1, accuracy_drop=5.0, latency_ms=64.0, size_bytes=6400.0)
    assert DEFAULT_OBJECTIVES.point(worst, BASELINE) == pytest.approx(DEFAULT_OBJECTIVES.reference)
    sides = zip(DEFAULT_OBJECTIVES.reference, DEFAULT_OBJECTIVES.ideal, strict=True)
    assert math.prod(worst - best for worst, best in sides) == 1


@pytest.mark.parametrize(("name", "value"), [("accuracy", 1.25), ("latency", 3.0), ("size", 70_000.0)])
def test_a_coordinate_has_an_inverse(name: str, value: float) -> None:
    axis = Objective(name)
    assert axis.value(axis.coordinate(value, 20.0), 20.0) == pytest.approx(value)


def test_the_end_of_the_accuracy_s_axis_may_be_set() -> None:
    assert Objective("accuracy", 10.0).coordinate(2.5, 90.0) == 0.25


def test_the_main_profile_s_own_needs_no_name() -> None:
    assert quantity_name("latency@cpu", ["cpu", "board"]) == "latency"
    assert quantity_name("energy@board", ["cpu", "board"]) == "energy@board"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["accuracy", "latncy"], "unknown objective 'latncy': known objectives are latency, "),
        (["accuracy"], "a front has at least 2 objectives, got accuracy: add one of accuracy, latency"),
        ([], "a front has at least 2 objectives, got none"),
        (["size", "accuracy", "size"], "each objective may stand once, got size, accuracy, size: leave one out"),
        (["latency", "latency@cpu"], "each objective may stand once, got latency, latency"),
        (["accuracy", "latency@phone"], "one of the profiles cpu, board, got 'latency@phone': add --hardware phone"),
        (["latency", "macs@board"], "macs is the same on every profile, got 'macs@board': write macs"),
        (["latency", "accuracy@board"], "accuracy is the same on every profile"),
    ],
)
def test_what_cannot_span_a_front_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        parse_objectives(names, ["cpu", "board"])


def test_they_are_a_sequence() -> None:
    assert len(DEFAULT_OBJECTIVES) == 3
    assert DEFAULT_OBJECTIVES[1] == Objective("latency")
    assert Objectives((Objective("size"), Objective("latency"))).main_cost == Objective("size")
