import itertools
import math
from collections.abc import Callable

import pytest

from parefront.results.importance import MIN_TRIALS, ObjectiveImportance, SiteImportance, importances
from parefront.search.objectives import Objective
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces.site import Choice, Site

MakeTrial = Callable[..., Trial]
PRUNE = Site("prune/a", ("a",), (64, 48, 32))
BITS = Site("bits/a", ("a",), (32, 8))
RANK = Site("rank/b", ("b",), ("full", "svd:24", "svd:16", "svd:8"))
SITES = (PRUNE, BITS, RANK)
Drop = Callable[[float, float, int], float]


def factorial(make_trial: MakeTrial, drop: Drop, size_bytes: float = 1_000_000) -> list[Trial]:
    """Every configuration of the three sites once, the neutral one first; pruning to the end halves the latency."""
    trials = []
    for number, ranks in enumerate(itertools.product(range(3), range(2), range(4))):
        chosen = {site.name: site.choices[i] for site, i in zip(SITES, ranks, strict=True) if i}
        a, b, c = ranks[0] / 2, float(ranks[1]), ranks[2]
        trials.append(make_trial(number, drop(a, b, c), 2.0 * 0.5**a, size_bytes, chosen))
    return trials


def test_shares_and_effects_of_an_additive_case(make_trial: MakeTrial) -> None:
    # Positions 0, 1/2, 1 have a variance of 1/6, positions 0, 1 of 1/4: 4² / 6 beside 2² / 4 is 8 to 3.
    accuracy, latency, size = importances(factorial(make_trial, lambda a, b, c: 4 * a + 2 * b), SITES)
    assert accuracy.n_trials == 24
    assert [each.site for each in accuracy.sites] == ["prune/a", "bits/a", "rank/b"]
    assert [each.share for each in accuracy.sites] == pytest.approx([8 / 11, 3 / 11, 0], abs=1e-3)
    assert [each.effect for each in accuracy.sites] == pytest.approx([-4, -2, 0], abs=1e-2)
    assert [each.is_clear for each in accuracy.sites[:2]] == [True, True]
    assert accuracy.explained == pytest.approx(1.0, abs=1e-3)
    assert latency.sites[0].site == "prune/a"
    assert latency.sites[0].share == pytest.approx(1.0, abs=1e-3)
    assert latency.sites[0].effect == pytest.approx(-50, abs=0.1)
    assert (accuracy.effect_unit, latency.effect_unit) == ("pt", "%")
    assert size.sites == ()
    assert size.reason == "all trials are alike in it"


def test_what_no_single_site_explains_is_not_laid_to_one(make_trial: MakeTrial) -> None:
    # An interaction alone: whatever one site does, the others turn into its opposite half of the time.
    (accuracy, *_) = importances(factorial(make_trial, _interaction), SITES)
    assert accuracy.sites == ()
    assert accuracy.reason == "the decisions do not explain yet how its trials differ"


def test_explained_is_of_trials_not_seen(make_trial: MakeTrial) -> None:
    # Seen, the sites explain 8/3 of a variance of 8/3 + 1; unseen it is less.
    (accuracy, *_) = importances(factorial(make_trial, lambda a, b, c: 4 * a + _interaction(a, b, c)), SITES)
    assert 0.5 < accuracy.explained < (8 / 3) / (8 / 3 + 1)
    assert accuracy.sites[0].site == "prune/a"
    assert [each.is_clear for each in accuracy.sites] == [True, False, False]


def test_a_site_that_never_varied_is_left_out(make_trial: MakeTrial) -> None:
    fixed = Site("fold/c", ("c",), ("off", "on"))
    only = Site("bits/c", ("c",), (8,))
    (accuracy, *_) = importances(factorial(make_trial, lambda a, b, c: a), (*SITES, fixed, only))
    assert {each.site for each in accuracy.sites} == {site.name for site in SITES}


def test_too_few_trials_are_said_to_be_so(make_trial: MakeTrial) -> None:
    found = importances(factorial(make_trial, lambda a, b, c: a)[: MIN_TRIALS - 1], SITES)
    assert [each.reason for each in found] == ["19 trials tell it; at least 20 are needed"] * 3
    assert [each.reason for each in importances([], SITES)] == ["0 trials tell it; at least 20 are needed"] * 3


def test_only_scores_that_compare_are_used(make_trial: MakeTrial) -> None:
    trials = factorial(make_trial, lambda a, b, c: a)
    strange: dict[str, Choice] = {"prune/a": 7}
    others = [
        make_trial(24, 9.0, 9.0, choices={"bits/a": 8}, fidelity=Fidelity.SHORT),  # the same network, other training
        make_trial(25, None, 1.0, choices={"prune/a": 48, "bits/a": 8, "rank/b": "svd:8"}),  # as well
        make_trial(26, choices={"bits/a": 8}, state=State.FAILED),
        make_trial(27, 1.0, 1.0, choices=strange),
        make_trial(28, 1.0, 1.0, choices=strange, is_verified=False),
        make_trial(29, math.nan, math.inf, 0.0, choices={"rank/b": "svd:8", "bits/a": 8}),
    ]
    assert importances([*trials, *others], SITES) == importances(trials, SITES)


def test_what_was_closed_tells_its_latency(make_trial: MakeTrial) -> None:
    trials = factorial(make_trial, lambda a, b, c: a)
    closed = make_trial(23, None, 1.0, choices=trials[23].configuration)
    accuracy, latency, _ = importances([*trials[:23], closed], SITES)
    assert (accuracy.n_trials, latency.n_trials) == (23, 24)


def test_the_objectives_are_those_of_the_run(make_trial: MakeTrial) -> None:
    found = importances(factorial(make_trial, lambda a, b, c: a), SITES, (Objective("latency"), Objective("macs")))
    assert [each.objective for each in found] == ["latency", "macs"]
    assert found[1].reason.startswith("0 trials")  # nobody counted them


def test_shares_are_summed_by_technique_and_by_layer() -> None:
    shares = {"prune/a": 0.5, "prune/b": 0.125, "bits/a": 0.25, "fold/b": 0.125}
    found = ObjectiveImportance(
        "accuracy", "pt", 30, 0.9, tuple(SiteImportance(site, share, -1.0, True) for site, share in shares.items())
    )
    assert list(found.by_technique.items()) == [("prune", 0.625), ("bits", 0.25), ("fold", 0.125)]
    assert list(found.by_layer.items()) == [("a", 0.75), ("b", 0.25)]
    data = found.to_json()
    assert data["sites"][0] == {"site": "prune/a", "share": 0.5, "effect": -1.0, "is_clear": True}
    assert data["by_technique"]["prune"] == 0.625
    assert data["n_trials"] == 30


def test_equal_shares_come_by_name(make_trial: MakeTrial) -> None:
    twins = (Site("bits/b", ("b",), (32, 8)), Site("bits/a", ("a",), (32, 8)))
    trials = []
    for number, on in enumerate(itertools.product(range(2), range(2), range(6))):
        choices: dict[str, Choice] = {site.name: 8 for site, i in zip(twins, on, strict=False) if i}
        if on[2]:
            choices["prune/a"] = 64 - on[2]
        trials.append(make_trial(number, float(on[0] + on[1]), 2.0 * math.exp(-number), 1000, choices))
    prune = Site("prune/a", ("a",), tuple(64 - i for i in range(6)))
    (accuracy, *_) = importances(trials, (*twins, prune))
    first, second, _ = accuracy.sites
    assert first.share == pytest.approx(second.share)
    assert (first.site, second.site) == ("bits/a", "bits/b")


def _interaction(a: float, b: float, c: int) -> float:
    """1 or -1, and without any relation to one site alone: its mean is 0 over the others at every choice."""
    return (1 if b else -1) * (1 if c in (0, 3) else -1)
