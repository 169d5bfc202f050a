from collections.abc import Callable
from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.search.front import complete, front
from parefront.search.goals import Goals
from parefront.search.objectives import parse_objectives
from parefront.search.repeats import next_repeat
from parefront.search.trial import REMEASURED, Fidelity, State, Trial

MakeTrial = Callable[..., Trial]
GOALS = Goals(parse_objectives(["accuracy", "latency"]))


@pytest.fixture
def timed(make_trial: MakeTrial) -> Callable[..., Trial]:
    """A trial whose latency has an interval of so many percent to either side."""

    def make(number: int, drop: float, latency_ms: float, percent: float, **details: object) -> Trial:
        trial = make_trial(number, {"prune/a": number}, drop, latency_ms)
        factor = 1 + percent / 100
        score = Score("latency_ms", latency_ms, "ms", False, latency_ms / factor, latency_ms * factor)
        return replace(trial, scores={**trial.scores, "latency_ms": score}, details=details)

    return make


@pytest.fixture
def baseline(make_trial: MakeTrial) -> Trial:
    return make_trial(0, {}, 0.0, 10.0)


def numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_a_trial_put_off_by_an_unsure_tie_is_measured_again(baseline: Trial, timed: Callable[..., Trial]) -> None:
    """2 loses more and is 1 % faster, a tie; with 1 % to either side of both, it may as well be 2.4 % faster."""
    trials = [baseline, timed(1, 1.0, 5.0, 0.9), timed(2, 2.0, 4.95, 1.0)]
    assert numbers(front(trials, Fidelity.SHORT, GOALS)) == [0, 1]
    again = next_repeat(trials, GOALS)
    assert again is trials[2]  # of the two the one with the wider interval


def test_what_is_sure_is_left(baseline: Trial, timed: Callable[..., Trial]) -> None:
    # 0.4 % faster, and at most 0.4 + 0.71 % so: a tie for sure. 20 % faster: none for sure.
    assert next_repeat([baseline, timed(1, 1.0, 5.0, 0.5), timed(2, 2.0, 4.98, 0.5)], GOALS) is None
    assert next_repeat([baseline, timed(1, 1.0, 5.0, 0.5), timed(2, 2.0, 4.0, 0.5)], GOALS) is None
    assert next_repeat([baseline], GOALS) is None


def test_what_another_member_puts_off_for_sure_is_left(baseline: Trial, timed: Callable[..., Trial]) -> None:
    """3 is close to 1 in time, but 2 is better than it in both for sure."""
    trials = [baseline, timed(1, 1.0, 5.0, 1.0), timed(2, 1.5, 4.0, 0.1), timed(3, 2.0, 4.95, 1.0)]
    assert next_repeat(trials, GOALS) is None


def test_a_member_that_might_be_put_off_is_measured_again(baseline: Trial, timed: Callable[..., Trial]) -> None:
    """2 is 2 % faster, more than a tie, but perhaps only 0.6 %."""
    trials = [baseline, timed(1, 1.0, 5.0, 1.0), timed(2, 2.0, 4.9, 1.0)]
    assert numbers(front(trials, Fidelity.SHORT, GOALS)) == [0, 1, 2]
    assert next_repeat(trials, GOALS) in trials[1:]


def test_the_least_sure_comes_first(baseline: Trial, timed: Callable[..., Trial]) -> None:
    """1.4 % is nearer to the 1.5 % of a tie than 0.6 % is; the other pair is ten times slower than this one."""
    trials = [
        baseline,
        timed(1, 0.5, 5.0, 1.0),
        timed(2, 0.6, 4.97, 1.1),
        timed(3, 1.0, 0.5, 1.0),
        timed(4, 1.1, 0.493, 1.1),
    ]
    first = next_repeat(trials, GOALS)
    assert first is trials[4]
    assert next_repeat(trials, GOALS, under_way={4}) is trials[3]


def test_nothing_is_measured_a_third_time(baseline: Trial, timed: Callable[..., Trial]) -> None:
    trials = [
        baseline,
        timed(1, 1.0, 5.0, 0.9),
        timed(2, 2.0, 4.95, 1.0),
    ]
    trials.append(replace(timed(3, 2.0, 4.95, 0.9, **{REMEASURED: 2}), configuration=trials[2].configuration))
    assert next_repeat(trials, GOALS) is trials[1]
    failed = replace(timed(4, 1.0, 5.0, 0.9, **{REMEASURED: 1}), state=State.FAILED)
    assert next_repeat([*trials, failed], GOALS) is None  # nor what could not be measured again


def test_a_trial_with_a_final_member_is_left(
    baseline: Trial, timed: Callable[..., Trial], make_trial: MakeTrial
) -> None:
    trials = [baseline, timed(1, 1.0, 5.0, 0.9), timed(2, 2.0, 4.95, 1.0)]
    final = make_trial(3, {"prune/a": 2}, 1.0, 4.95, 1000, Fidelity.FULL, parent=2)
    assert next_repeat([*trials, final], GOALS) is trials[1]


def test_an_interval_without_an_end_comes_first(baseline: Trial, timed: Callable[..., Trial]) -> None:
    trials = [baseline, timed(1, 1.0, 5.0, 0.9), timed(2, 2.0, 4.95, 1.0), timed(3, 3.0, 4.99, 1.0)]
    unsure = replace(trials[3].scores["latency_ms"], low=0.0)
    trials[3] = replace(trials[3], scores={**trials[3].scores, "latency_ms": unsure})
    assert next_repeat(trials, GOALS) is trials[3]


def test_exact_objectives_need_no_second_look(make_trial: MakeTrial) -> None:
    goals = Goals(parse_objectives(["accuracy", "size"]))
    trials = [make_trial(0, {}, 0.0), make_trial(1, {"prune/a": 8}, 1.0, 1.0, 999), make_trial(2, {"bits/a": 8}, 1.0)]
    assert next_repeat(trials, goals) is None


def test_the_later_measurement_stands(baseline: Trial, timed: Callable[..., Trial]) -> None:
    """2 was put off by a tie; measured again it is 4 % faster than 1."""
    trials = [baseline, timed(1, 1.0, 5.0, 0.9), timed(2, 2.0, 4.95, 1.0)]
    again = replace(timed(3, 2.0, 4.8, 0.2, **{REMEASURED: 2}), configuration=trials[2].configuration)
    assert numbers(complete([*trials, again], Fidelity.SHORT)) == [0, 1, 3]
    assert numbers(front([*trials, again], Fidelity.SHORT, GOALS)) == [0, 1, 3]
    failed = replace(again, state=State.FAILED)
    assert numbers(complete([*trials, failed], Fidelity.SHORT)) == [0, 1, 2]
