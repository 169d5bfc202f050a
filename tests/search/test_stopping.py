from collections.abc import Callable
from dataclasses import replace

import pytest

from parefront.hardware_profiles.errors import SearchError
from parefront.search.clock import Spent
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.stopping import Limits, RecentGain, StoppingRule
from parefront.search.trial import FROM, Fidelity, Trial

MakeTrial = Callable[..., Trial]


def test_without_limits_all_candidates_are_evaluated() -> None:
    rule = StoppingRule(10)
    assert rule.reason(9, Spent(1e9, 1e9), 1e9, 0.0) == ""
    assert rule.reason(10, Spent(), 0.0, None) == "all 10 candidates"


def test_the_time_limit_keeps_what_is_wanted_for_the_rest() -> None:
    rule = StoppingRule(10, Limits(max_wall_s=100))
    assert rule.reason(3, Spent(60, 500), 40, None) == ""
    assert rule.reason(3, Spent(61, 500), 40, None) == (
        "the time limit of 100 s (spent 61 s, with 40 s wanted for what follows)"
    )


def test_processor_time_is_wanted_at_the_usual_number_of_processors() -> None:
    """200 s in 100 s keep two busy, so that 25 s more want 50 s of theirs."""
    rule = StoppingRule(10, Limits(max_cpu_s=250))
    assert rule.reason(3, Spent(100, 200), 25, None) == ""
    assert rule.reason(3, Spent(100, 200), 26, None).startswith("the limit of 250 s of processor time (spent 200 s")


def test_patience_ends_a_search_that_gains_nothing() -> None:
    rule = StoppingRule(10, Limits(patience=4))
    assert rule.reason(3, Spent(), 0, None) == ""  # fewer than four
    assert rule.reason(5, Spent(), 0, 0.0011) == ""
    assert rule.reason(5, Spent(), 0, 0.001) == "no gain in hypervolume above 0.1% over the last 4 candidates"


def test_time_left_is_that_of_each_limit() -> None:
    limits = Limits(max_wall_s=100, max_cpu_s=250)
    assert limits.left_s(Spent(80, 160)) == {"time limit": 20, "processor-time limit": 45}
    assert limits.left_s(Spent(120, 300)) == {"time limit": 0, "processor-time limit": 0}
    assert Limits().left_s(Spent(80, 160)) == {}


@pytest.mark.parametrize("name", ["max_wall_s", "max_cpu_s", "patience"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(SearchError, match=rf"{name} must be above 0, got 0: leave it out for no limit"):
        Limits(**{name: 0})


def test_the_gain_is_that_of_the_last_candidates(make_trial: MakeTrial) -> None:
    """At no loss, half as slow and half as large fills (1/6)² of the box, four times less of both (2/6)²."""
    baseline = make_trial(0, {}, 0.0, 1.0, 1000)
    half = make_trial(1, {"prune/a": 24}, 0.0, 0.5, 500)
    quarter = make_trial(2, {"prune/a": 16}, 0.0, 0.25, 250)
    worse = make_trial(3, {"prune/a": 8}, 3.0, 0.5, 500)
    trials = [baseline, half, quarter, worse]

    def gain(patience: int | None, n: int = 4) -> float | None:
        return RecentGain(trials[:n], Fidelity.SHORT, patience, DEFAULT_GOALS).value

    assert gain(1) == 0
    assert gain(2) == pytest.approx(3 / 4)  # the quarter against the half
    assert gain(3) == pytest.approx(1)
    assert gain(4) is None
    assert gain(None) is None
    assert gain(1, 3) == pytest.approx(3 / 4)


def test_before_any_hypervolume_there_is_no_gain(make_trial: MakeTrial) -> None:
    trials = [make_trial(0, {}, 0.0, 1.0, 1000), make_trial(1, {"prune/a": 8}, 50.0, 0.5, 500)]
    assert RecentGain(trials, Fidelity.SHORT, 1, DEFAULT_GOALS).value == 0


def test_only_this_runs_candidates_count_for_patience(make_trial: MakeTrial) -> None:
    taken = replace(make_trial(1, {"prune/a": 8}, 0.0, 0.5, 500), details={FROM: {"run": "old", "number": 4}})
    trials = [make_trial(0, {}, 0.0, 1.0, 1000), taken]
    assert RecentGain(trials, Fidelity.SHORT, 1, DEFAULT_GOALS).value is None
