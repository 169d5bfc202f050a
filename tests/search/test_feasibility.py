from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import SearchError
from parefront.hardware_profiles.errors import DeviceLostError
from parefront.search.constraints import Constraint
from parefront.search.feasibility import (
    check_accuracy_limit,
    check_measured,
    check_structural_limits,
    keep_all,
    reaches,
)
from parefront.search.goals import Goals, parse_goals
from parefront.spaces import Configuration, SearchSpace

FAST, SMALL = Constraint("latency", 1.0), Constraint("size", 500.0)
NETWORKS = {
    "neutral": {"latency_ms": 4.0, "size_bytes": 4000.0},
    "int8": {"latency_ms": 0.8, "size_bytes": 900.0},
    "smallest": {"latency_ms": 1.2345, "size_bytes": 400.0},
}


def goals(*constraints: str, objectives: tuple[str, ...] = ()) -> Goals:
    return parse_goals(objectives, constraints, ["cpu"])


def test_how_near_networks_come_to_each_limit() -> None:
    fast, small = reaches([FAST, SMALL, Constraint("energy", 1.0)], NETWORKS)  # no network has an energy
    assert (fast.by, fast.best, fast.can_be_kept) == ("int8", 0.8, True)
    assert (small.by, small.best, small.can_be_kept) == ("smallest", 400.0, True)
    assert keep_all([FAST, SMALL], NETWORKS) == []  # though each is kept by one
    assert keep_all([FAST], NETWORKS) == ["int8"]


@pytest.mark.parametrize(
    ("value", "nearest"),
    [(0.08321, "latency<=0.0833ms"), (0.25, "latency<=0.25ms"), (1.2341, "latency<=1.24ms")],
)
def test_the_nearest_limit_is_one_that_is_kept(value: float, nearest: str) -> None:
    (found,) = reaches([Constraint("latency", 0.01)], {"x": {"latency_ms": value}})
    assert not found.can_be_kept
    assert found.nearest == nearest


def test_the_nearest_gain_of_accuracy_is_one_that_is_kept_too() -> None:
    (found,) = reaches([Constraint("accuracy", -1.0)], {"x": {"accuracy_drop": -0.3333}})
    assert found.nearest == "accuracy_drop<=-0.333pt"


def structural(latency_ms: float, size_bytes: float, half_width: float = 0.0) -> dict[str, Score]:
    low, high = latency_ms - half_width, latency_ms + half_width
    return {
        "latency_ms": Score("latency_ms", latency_ms, "ms", False, low, high),
        "size_bytes": Score("size_bytes", size_bytes, "bytes", False),
    }


def test_what_nothing_measures_is_refused() -> None:
    check_measured(goals(), structural(1.0, 1.0))
    with pytest.raises(
        SearchError, match=r"but energy_mj is not, by these hardware profiles .* there are latency_ms, size_bytes"
    ):
        check_measured(goals(objectives=("accuracy", "energy")), structural(1.0, 1.0))
    with pytest.raises(SearchError, match="but memory_bytes is not"):
        check_measured(goals("memory<=1MB"), structural(1.0, 1.0))


def test_no_more_than_100_percent_can_be_gained() -> None:
    check_accuracy_limit(goals("accuracy_drop<=-3pt"), 97.0)
    check_accuracy_limit(goals(), 97.0)
    with pytest.raises(SearchError, match=r"<=-3\.5pt cannot be kept, .* 97\.00 % .* the nearest is .*<=-3pt"):
        check_accuracy_limit(goals("accuracy_drop<=-3.5pt"), 97.0)


@dataclass
class FakeBench:
    """Answers by the number of decisions: the more, the better."""

    space: SearchSpace
    answer: Callable[[Configuration], Mapping[str, Score]]
    directory: Path
    asked: list[Configuration] = field(default_factory=list)

    def structure(self, configuration: Configuration, name: str) -> Evaluation:
        self.asked.append(configuration)
        path = self.directory / f"{name}.onnx"
        path.touch()
        return Evaluation(self.answer(configuration), {}, path)


@pytest.fixture
def bench(small_space: SearchSpace, tmp_path: Path) -> FakeBench:
    return FakeBench(small_space, lambda each: structural(4.0 / len(each), 4000.0 / len(each), 0.1), tmp_path)


BASELINE = structural(4.0, 4000.0)


def test_without_a_structural_limit_nothing_is_measured(bench: FakeBench) -> None:
    check_structural_limits(goals("accuracy_drop<=0pt"), bench, BASELINE)  # type: ignore[arg-type]
    assert bench.asked == []


def test_a_limit_within_reach_is_accepted_and_leaves_no_file(bench: FakeBench) -> None:
    check_structural_limits(goals("latency<=1.3ms", "size<=3kB"), bench, BASELINE)  # type: ignore[arg-type]
    assert bench.asked
    assert list(bench.directory.iterdir()) == []


def test_a_limit_out_of_reach_is_refused_with_the_nearest(bench: FakeBench) -> None:
    # Of the small space no configuration has more than four decisions: a fold or a rank takes one with it.
    most = max(len(each) for each in _uniform(bench.space))
    nearest = 4000.0 / most
    with pytest.raises(
        SearchError, match=r"size<=100 cannot be kept by any network of this space: the nearest is size<="
    ):
        check_structural_limits(goals("size<=100", "latency<=4ms"), bench, BASELINE)  # type: ignore[arg-type]
    just = 0.95 * nearest  # a mixed configuration may be a little better
    check_structural_limits(goals(f"size<={just}"), bench, BASELINE)  # type: ignore[arg-type]
    with pytest.raises(SearchError, match="cannot be kept"):
        check_structural_limits(goals(f"size<={0.85 * nearest}"), bench, BASELINE)  # type: ignore[arg-type]


def _uniform(space: SearchSpace) -> list[Configuration]:
    from parefront.evaluators.estimate import uniform_configurations

    return list(uniform_configurations(space).values())


def test_the_interval_counts_in_favour_of_a_candidate(bench: FakeBench) -> None:
    bench.answer = lambda each: structural(2.0, 1000.0, 1.5)  # 0.5 ms at best
    check_structural_limits(goals("latency<=0.5ms"), bench, BASELINE)  # type: ignore[arg-type]


def test_what_cannot_be_built_is_left_out_but_a_lost_device_is_not(bench: FakeBench) -> None:
    def broken(configuration: Configuration) -> Mapping[str, Score]:
        raise ValueError("no such operator")

    def lost(configuration: Configuration) -> Mapping[str, Score]:
        raise DeviceLostError("gone")

    bench.answer = broken
    check_structural_limits(goals("latency<=4ms"), bench, BASELINE)  # type: ignore[arg-type]
    bench.answer = lost
    with pytest.raises(DeviceLostError):
        check_structural_limits(goals("latency<=4ms"), bench, BASELINE)  # type: ignore[arg-type]
