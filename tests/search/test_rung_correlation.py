from collections.abc import Callable

import pytest

from parefront.search.rung_correlation import RungCorrelation, rung_correlations
from parefront.search.trial import Fidelity, Trial

MakeTrial = Callable[..., Trial]
WIDTHS = (24, 16, 8)


def test_ranks_are_compared_over_candidates_that_have_both(make_trial: MakeTrial) -> None:
    choices = [{"prune/a": width} for width in WIDTHS] + [{"bits/a": 8}, {"bits/b": 8}]
    trials = [make_trial(0, {}, 0.0), make_trial(1, {}, 0.2, fidelity=Fidelity.FULL)]
    trials += [make_trial(2 + i, each, 1.0 + i) for i, each in enumerate(choices)]
    # Of the five, four were promoted, the middle two in swapped order: 1 - 6 * 2 / (4 * 15). One failed there.
    for i, drop in enumerate((0.1, 0.3, 0.2, 0.4)):
        trials.append(make_trial(10 + i, choices[i], drop, fidelity=Fidelity.FULL, parent=2 + i))
    trials.append(make_trial(20, choices[4], fidelity=Fidelity.FULL, parent=6))
    (found,) = rung_correlations(trials)
    assert (found.lower, found.higher, found.n_candidates) == ("short", "full", 4)
    assert found.rank_correlation == pytest.approx(0.8)
    assert found.to_json()["n_candidates"] == 4


def test_every_pair_of_rungs_is_compared(make_trial: MakeTrial) -> None:
    trials = []
    for i, width in enumerate(WIDTHS):
        drop = 1.0 + i
        trials.append(make_trial(3 * i, {"prune/a": width}, drop, fidelity=Fidelity.CALIBRATED))
        trials.append(make_trial(3 * i + 1, {"prune/a": width}, -drop, parent=3 * i))
        trials.append(make_trial(3 * i + 2, {"prune/a": width}, drop, fidelity=Fidelity.FULL, parent=3 * i + 1))
    found = [(each.lower, each.higher, each.rank_correlation) for each in rung_correlations(trials)]
    assert found == [
        ("calibrated", "short", pytest.approx(-1.0)),
        ("calibrated", "full", pytest.approx(1.0)),
        ("short", "full", pytest.approx(-1.0)),
    ]


def test_of_two_no_correlation_is_told_and_of_none_nothing(make_trial: MakeTrial) -> None:
    short = [make_trial(i, {"prune/a": width}, 1.0 + i) for i, width in enumerate(WIDTHS)]
    assert rung_correlations(short) == []
    full = [
        make_trial(10 + i, {"prune/a": width}, 1.0 + i, fidelity=Fidelity.FULL, parent=i)
        for i, width in enumerate(WIDTHS[:2])
    ]
    assert rung_correlations([*short, *full]) == [RungCorrelation("short", "full", 2, None)]
