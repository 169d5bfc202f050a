from collections.abc import Callable
from dataclasses import replace

from parefront.evaluators.evaluator import Score
from parefront.results.figures import FrontData, front_data
from parefront.search.goals import parse_goals
from parefront.search.trial import Fidelity, Trial


def test_each_trial_is_shown_once(trials: list[Trial]) -> None:
    data = front_data(trials)
    assert [point.number for point in data.members] == [5, 7]
    assert data.pick is not None
    assert data.pick.number == 6
    assert data.baseline is not None
    assert data.baseline.number == 4
    assert [point.number for point in data.others] == [0, 1]
    assert [point.number for point in data.closed] == [2]


def test_what_has_no_accuracy_is_shown_by_its_latency(trials: list[Trial]) -> None:
    (closed,) = front_data(trials).closed
    assert closed.accuracy is None
    assert closed.cost.value == 1.8


def test_the_line_rises_with_latency(trials: list[Trial]) -> None:
    # 94 % less the drops 3, 0.75, 0.25 and 0.
    assert front_data(trials).envelope == ((0.1, 91.0), (0.2, 93.25), (0.5, 93.75), (2.0, 94.0))


def test_pointing_at_a_member_tells_its_decisions(trials: list[Trial]) -> None:
    pick = front_data(trials).pick
    assert pick is not None
    assert pick.lines[1:] == (
        "accuracy 93.25 [92.25, 94.25] %",
        "0.200 [0.198, 0.202] ms, 10.0x faster",
        "62.5 kB, 16.0x smaller",
        "int8 in 1 layer",
        "pruned: conv1 to 16",
    )


def with_macs(trial: Trial, macs: float) -> Trial:
    return replace(trial, scores={**trial.scores, "macs": Score("macs", macs, "MACs", False)})


def test_the_axes_are_those_of_the_search(trials: list[Trial]) -> None:
    """Accuracy against the first cost, the bubbles the second; a further picture for any other."""
    counted = [with_macs(trial, 1e6 * (10 - trial.number)) if trial.scores else trial for trial in trials]
    goals = parse_goals(["accuracy", "size", "macs", "latency"], [], ["cpu"])
    data = front_data(counted, goals)
    assert (data.axis.name, data.area and data.area.name) == ("size", "macs")
    assert data.pick is not None
    assert data.pick.cost.value == 62.5  # kB
    assert data.pick.area == 4e6
    assert data.pick_words == "smallest within 1 pt"
    assert "4.00 M MACs, 1.5x fewer MACs" in data.pick.lines  # the baseline is #4
    further = front_data(counted, goals, goals.objectives[3])
    assert (further.axis.name, further.area) == ("latency", None)
    assert {point.area for point in (*further.members, *further.others)} == {1.0}


def test_two_objectives_leave_the_bubbles_alike(trials: list[Trial]) -> None:
    data = front_data(trials, parse_goals(["accuracy", "size"], ["accuracy_drop<=2pt"], ["cpu"]))
    assert data.area is None
    assert data.within == 2.0
    assert data.pick is not None
    assert data.pick.area == 1.0
    assert [point.number for point in data.members] == [5]  # #7 loses 3 points: beyond the limit
    assert 7 in [point.number for point in data.others]


def test_without_a_baseline_there_is_nothing_to_show() -> None:
    assert front_data([]) == FrontData()


def test_losses_are_counted_from_the_trained_baseline(make_trial: Callable[..., Trial]) -> None:
    """After little training the baseline is itself below what losses are counted from."""
    data = front_data(
        [
            make_trial(0, 2.25, fidelity=Fidelity.SHORT),
            make_trial(1, 4.0, 0.5, choices={"bits/x": 8}, fidelity=Fidelity.SHORT),
        ]
    )
    assert data.reference == 94.0  # 91.75 % and the 2.25 points that it lost
