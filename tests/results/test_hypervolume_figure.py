import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from parefront.results.figures import (
    HypervolumeData,
    draw_hypervolume,
    draw_hypervolume_over_time,
    hypervolume_data,
)
from parefront.search.front import front_hypervolume
from parefront.search.goals import parse_goals
from parefront.search.trial import Fidelity, Trial

MakeTrial = Callable[..., Trial]
INT8 = {"bits/conv1": 8}


def test_the_hypervolume_rises_only_where_a_trial_helps(make_trial: MakeTrial) -> None:
    # The box: 5 points, 64x faster, 64x smaller. 8x is half a side in logarithms, so the first network takes
    # (1 - 0.4) / 4 of it; the second is dominated by it, and the third is 64x faster, a whole side.
    trials = [
        make_trial(0, 0.0, 2.0, 1_000_000),
        make_trial(1, 2.0, 2.0 / 8, 125_000, INT8, origin="first"),
        make_trial(2, 3.0, 2.0 / 4, 250_000, INT8, origin="worse"),
        make_trial(3, 2.0, 2.0 / 64, 125_000, INT8, origin="faster"),
        make_trial(4, choices=INT8),
    ]
    (series,) = hypervolume_data(trials).series
    assert series.fidelity is Fidelity.FULL
    assert series.numbers == (0, 1, 3, 4)
    assert series.shares == pytest.approx((0.0, 0.6 * 0.5 * 0.5, 0.6 * 1.0 * 0.5, 0.6 * 1.0 * 0.5))
    assert series.origins[1:3] == ("first", "faster")


def test_the_box_is_that_of_the_objectives(make_trial: MakeTrial) -> None:
    """Without latency 8x smaller is half a side; what breaks a limit adds nothing."""
    trials = [
        make_trial(0, 0.0, 2.0, 1_000_000),
        make_trial(1, 2.0, 1.0, 125_000, INT8),
        make_trial(2, 3.0, 0.1, 15_625, INT8),
    ]
    (series,) = hypervolume_data(trials, parse_goals(["accuracy", "size"], ["drop<=2.5"], ["cpu"])).series
    assert series.shares[-1] == pytest.approx(0.6 * 0.5)


def test_each_fidelity_has_its_own_series(trials: list[Trial]) -> None:
    short, full = hypervolume_data(trials).series
    assert (short.fidelity, full.fidelity) == (Fidelity.SHORT, Fidelity.FULL)
    assert short.numbers == (0, 1, 8)
    assert short.shares[-1] == pytest.approx((1 - 0.3) * (math.log(4) / math.log(64)) ** 2)
    assert full.shares[-1] == pytest.approx(front_hypervolume(trials, Fidelity.FULL))


def test_a_series_knows_when_its_trials_ended(trials: list[Trial]) -> None:
    ends = {5: 60.0, 6: 600.0, 8: 900.0}
    trials = [replace(t, details={"ended": {"wall_s": ends[t.number]}}) if t.number in ends else t for t in trials]
    data = hypervolume_data(trials)
    full = data.series[1]
    assert full.numbers == (4, 5, 6, 7, 8)
    assert full.ended_s == (None, 60.0, 600.0, None, 900.0)
    figure = draw_hypervolume_over_time(data)
    assert figure.layout.xaxis.title.text == "wall time (min)"
    assert list(figure.data[-1].x) == [1.0, 10.0, 15.0]
    assert list(figure.data[-1].y) == pytest.approx([100 * full.shares[i] for i in (1, 2, 4)])


def test_a_run_without_times_says_so(trials: list[Trial]) -> None:
    assert "did not record" in draw_hypervolume_over_time(hypervolume_data(trials)).layout.annotations[0].text


def test_a_series_is_drawn_in_percent(trials: list[Trial]) -> None:
    data = hypervolume_data(trials)
    figure = draw_hypervolume(data)
    assert list(figure.data[0].y) == pytest.approx([100 * share for share in data.series[0].shares])


def test_a_baseline_alone_has_no_hypervolume(trials: list[Trial]) -> None:
    assert hypervolume_data([]) == hypervolume_data(trials[:1]) == HypervolumeData()
    assert not draw_hypervolume(HypervolumeData()).data
