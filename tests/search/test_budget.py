from collections.abc import Callable
from dataclasses import replace

import pytest

from parefront.search.budget import Budget, Kind, Tally, kind_of, tally
from parefront.search.clock import Clock
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.rungs import Rungs
from parefront.search.stopping import NO_LIMITS, Limits
from parefront.search.trial import FROM, REMEASURED, Fidelity, Trial

MakeTrial = Callable[..., Trial]


class Watch:
    """Moved by hand; one processor is busy."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    """The two baseline trials: the full fine-tune took 30 s, measuring the first one 4 s."""
    return [
        replace(make_trial(0, {}, 0.0, 1.0, 1000), seconds={"export": 1.0, "measure": 3.0}),
        replace(make_trial(1, {}, 0.1, 1.0, 1000, Fidelity.FULL), seconds={"train": 26.0, "measure": 4.0}),
    ]


def begin(trials: list[Trial], watch: Watch, rungs: Rungs, limits: Limits = NO_LIMITS, n_slots: int = 1) -> Budget:
    budget = Budget(rungs, limits, Clock(watch, watch), DEFAULT_GOALS, trials, n_slots)
    budget.note_begin()
    return budget


def end(budget: Budget, watch: Watch, trials: list[Trial], trial: Trial, seconds: float) -> None:
    watch.now += seconds
    trials.append(trial)
    budget.note_end()


def test_kinds_are_told_apart(make_trial: MakeTrial) -> None:
    again = replace(make_trial(5, {"bits/a": 8}, 1.0), details={REMEASURED: 2})
    taken = replace(make_trial(6, {"bits/b": 8}, 1.0), details={FROM: {"run": "old", "number": 9}})
    every = [
        make_trial(0, {}, 0.0),
        make_trial(1, {}, 0.0, fidelity=Fidelity.FULL),
        make_trial(2, {"bits/a": 8}, 1.0),
        make_trial(3, {"prune/a": 8}),  # failed: a candidate all the same
        make_trial(4, {"bits/a": 8}, 1.0, fidelity=Fidelity.FULL, parent=2),
        again,
        taken,
    ]
    assert tally(every, Fidelity.SHORT) == Tally(n_candidates=2, n_short=0, n_full=1, n_repeats=1)
    assert kind_of(every[0], Fidelity.SHORT) is Kind.REPEAT
    assert kind_of(every[1], Fidelity.SHORT) is Kind.FINAL
    promoted = make_trial(7, {"bits/a": 8}, 1.0, parent=6)
    assert kind_of(promoted, Fidelity.CALIBRATED) is Kind.PROMOTION


def test_no_time_left_is_told_before_three_candidates(trials: list[Trial], watch: Watch, make_trial: MakeTrial) -> None:
    budget = begin(trials, watch, Rungs(10, None, 2))
    for i, seconds in enumerate((5.0, 7.0)):
        end(budget, watch, trials, make_trial(2 + i, {"prune/a": 8}, 1.0), seconds)
        assert budget.forecast(is_searching=True).left_s is None
    end(budget, watch, trials, make_trial(4, {"prune/a": 16}, 1.0), 6.0)
    # 7 candidates of (5 + 7 + 6) / 3 s, and 2 final members of the 30 s that the baseline's fine-tune took.
    assert budget.forecast(is_searching=True).left_s == pytest.approx(7 * 6 + 2 * 30)


def test_only_the_latest_twenty_count(trials: list[Trial], watch: Watch, make_trial: MakeTrial) -> None:
    budget = begin(trials, watch, Rungs(50))
    for i in range(25):
        end(budget, watch, trials, make_trial(2 + i, {"prune/a": 8}, 1.0), 100.0 if i < 5 else 2.0)
    assert budget.forecast(is_searching=True).left_s == pytest.approx(25 * 2)


def test_the_nearest_limit_is_what_is_left(trials: list[Trial], watch: Watch, make_trial: MakeTrial) -> None:
    budget = begin(trials, watch, Rungs(1000), Limits(max_wall_s=100, max_cpu_s=90))
    assert budget.forecast(is_searching=True).ends_by == "processor-time limit"  # known before any candidate
    for i in range(3):
        end(budget, watch, trials, make_trial(2 + i, {"prune/a": 8}, 1.0), 10.0)
    forecast = budget.forecast(is_searching=True)
    assert (forecast.left_s, forecast.ends_by) == (pytest.approx(60), "processor-time limit")
    budget = begin(trials, watch, Rungs(4), Limits(max_wall_s=100))
    assert budget.forecast(is_searching=True).ends_by == "time limit"  # nothing was timed in this session


def test_the_search_ends_while_there_is_time_for_final_members(
    trials: list[Trial], watch: Watch, make_trial: MakeTrial
) -> None:
    budget = begin(trials, watch, Rungs(100, None, 2), Limits(max_wall_s=130))
    for i in range(3):
        assert budget.end_of_search(0) == ""
        end(budget, watch, trials, make_trial(2 + i, {"prune/a": 8}, 1.0), 10.0)
    watch.now = 60
    assert budget.end_of_search(0) == ""  # 60 + 10 + 2 x 30 s are just the 130
    watch.now = 61
    assert "the time limit of 130 s (spent 61 s, with 70 s wanted" in budget.end_of_search(0)
    watch.now = 100
    assert budget.end_of_finals() == ""
    watch.now = 101
    assert "the time limit of 130 s" in budget.end_of_finals()


def test_at_most_half_of_the_time_is_kept(trials: list[Trial], watch: Watch) -> None:
    """Five final members would take 150 s, of 100 that are left when the search begins."""
    watch.now = 20
    budget = begin(trials, watch, Rungs(100, None, 5), Limits(max_wall_s=100))  # its clock began now
    watch.now = 70
    assert budget.end_of_search(0) == ""
    watch.now = 71
    assert "time limit" in budget.end_of_search(0)


def test_time_is_kept_for_measuring_again(trials: list[Trial], watch: Watch, make_trial: MakeTrial) -> None:
    """Two measurements of the 4 s that the baseline's took."""
    budget = begin(trials, watch, Rungs(100, None, 1, n_repeats=9), Limits(max_wall_s=100))
    watch.now = 62
    assert budget.end_of_search(0) == ""  # 2 x 4 and 30 s follow
    watch.now = 62.5
    assert "time limit" in budget.end_of_search(0)
    watch.now = 66
    assert budget.end_of_repeats() == ""
    watch.now = 67
    assert "time limit" in budget.end_of_repeats()


def test_a_resumed_run_knows_its_durations(trials: list[Trial], watch: Watch, make_trial: MakeTrial) -> None:
    for i in range(3):
        trials.append(replace(make_trial(2 + i, {"prune/a": 8}, 1.0), seconds={"train": 8.0, "measure": 2.0}))
    taken = make_trial(5, {"prune/a": 16}, 1.0)
    trials.append(replace(taken, seconds={"measure": 500.0}, details={FROM: {"run": "old", "number": 2}}))
    budget = begin(trials, watch, Rungs(5))
    assert budget.forecast(is_searching=True).left_s == pytest.approx(2 * 10)


# --- several slots


def test_what_runs_side_by_side_takes_its_share(trials: list[Trial], watch: Watch, make_trial: MakeTrial) -> None:
    """Four slots: each candidate takes 20 s from its begin, one ends every 5 s; the first one's neighbours wait."""
    budget = begin(trials, watch, Rungs(10, None, 2), n_slots=4)
    for i in range(4):
        watch.now = 20 + 5 * i
        trials.append(make_trial(2 + i, {"prune/a": 8}, 1.0))
        budget.note_end(began_s=5.0 * i)
    # 6 candidates of 20 / 4 s; final members of 30 s, as the baseline's had all cores to itself.
    assert budget.forecast(is_searching=True).left_s == pytest.approx(6 * 5 + 2 * 30)
    again = begin(
        [replace(t, seconds={"train": 20.0}) if i > 1 else t for i, t in enumerate(trials)],
        watch,
        Rungs(10, None, 2),
        n_slots=4,
    )
    assert again.forecast(is_searching=True).left_s == pytest.approx(6 * 5 + 2 * 30)


def test_the_first_final_member_that_ended_tells_what_the_others_take(
    trials: list[Trial], watch: Watch, make_trial: MakeTrial
) -> None:
    budget = begin(trials, watch, Rungs(0, None, 4), Limits(max_wall_s=100), n_slots=2)
    watch.now = 40
    assert budget.end_of_finals(1) == ""  # 40 + 2 x 30 s: one is under way, and both share the cores
    watch.now = 41
    assert "with 60 s wanted" in budget.end_of_finals(1)
    assert budget.end_of_finals(0) == ""
    trials.append(make_trial(2, {"prune/a": 8}, 1.0, fidelity=Fidelity.FULL, parent=1))
    watch.now = 50
    budget.note_end(began_s=10.0)
    assert budget.forecast(is_searching=False).left_s == 50  # 3 x 40 / 2 s are left to do, but the limit comes first
    watch.now = 60
    assert budget.end_of_finals(1) == ""  # 40 s more, whatever is under way
    watch.now = 61
    assert "with 40 s wanted" in budget.end_of_finals(0)
