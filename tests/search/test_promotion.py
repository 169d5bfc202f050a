from collections.abc import Callable

from parefront.search.goals import parse_goals
from parefront.search.promotion import by_promise, next_promotion, promoted
from parefront.search.trial import Fidelity, Trial

MakeTrial = Callable[..., Trial]


def numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_rank_comes_before_contribution(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(1, {"bits/a": 8}, 1.0, 0.5, 500),
        make_trial(2, {"bits/b": 8}, 0.5, 0.8, 800),
        make_trial(3, {"prune/a": 24}, 1.5, 0.6, 600),  # behind #1 in everything
        make_trial(4, {"prune/a": 8}, 9.0, 0.9, 900),  # behind all of them
    ]
    order = numbers(by_promise(trials))
    assert set(order[:2]) == {1, 2}
    assert order[2:] == [3, 4]


def test_within_a_rank_the_greater_contribution_comes_first(make_trial: MakeTrial) -> None:
    """All of one size, so that the volume is an area times the same thickness.

    In units of the ranges, latency as log2 and from the reference back: #1 (drop 0, 4 ms), #2 (1, 2 ms), #3 (1.1,
    1.98 ms), #4 (4, 1 ms). #2 and #3 leave each other next to nothing; the extremes reach to the reference.
    """
    trials = [
        make_trial(1, {"prune/a": 24}, 0.0, 4.0),
        make_trial(2, {"prune/a": 16}, 1.0, 2.0),
        make_trial(3, {"bits/a": 8}, 1.1, 1.9),
        make_trial(4, {"prune/a": 8}, 4.0, 1.0),
    ]
    # Reference: drop 4.4; log2 ms 2.2. Areas in points times log2 ms, log2 1.9 = .926:
    # #1 1.0 x .2 = .2; #2 .1 x (2 - 1) = .1; #3 (4 - 1.1) x (1 - .926) = .215; #4 .4 x .926 = .37.
    assert numbers(by_promise(trials)) == [4, 3, 1, 2]


def test_accuracies_far_below_the_front_s_box_are_ranked_too(make_trial: MakeTrial) -> None:
    trials = [make_trial(1, {"prune/a": 24}, 40.0, 0.5, 500), make_trial(2, {"prune/a": 8}, 80.0, 0.1, 100)]
    # Reference: drop 84; ratios 5 ^ .1 beyond the slower. #1 40 x .1² = .4 of log(5)², #2 4 x (1.1² - .1²) = 4.8.
    assert numbers(by_promise(trials)) == [2, 1]


def test_what_fails_is_not_promoted_again(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0),
        make_trial(1, {"bits/a": 8}, 1.0, 0.5, 500),
        make_trial(2, {"bits/a": 8}, fidelity=Fidelity.FULL, parent=1),
    ]
    taken = promoted(trials, Fidelity.FULL)
    assert numbers(taken) == [1]
    assert next_promotion(trials[:2], taken, 0, 4) is None
    assert next_promotion([], [], 0, 4) is None
    assert promoted(trials, Fidelity.SHORT) == []


def one_round(trials: list[Trial], taken: list[Trial], n_places: int) -> list[int]:
    """The numbers of those promoted in a round after others."""
    n_before = len(taken)
    taken = list(taken)
    for _ in range(n_places):
        chosen = next_promotion(trials, taken, n_before, n_places)
        assert chosen is not None
        taken.append(chosen)
    return numbers(taken[n_before:])


def candidates(make_trial: MakeTrial) -> list[Trial]:
    """Four that stand well, two folds and two ranks behind them."""
    return [
        make_trial(1, {"prune/a": 8}, 9.0, 0.1, 100),
        make_trial(2, {"prune/a": 16}, 4.0, 0.2, 200),
        make_trial(3, {"prune/a": 24}, 1.0, 0.3, 300),
        make_trial(4, {"bits/a": 8}, 0.5, 0.4, 400),
        make_trial(5, {"fold/a": "on"}, 60.0, 0.9, 900),
        make_trial(6, {"fold/a": "on", "bits/a": 8}, 50.0, 0.8, 800),
        make_trial(7, {"rank/b": "spatial:8"}, 40.0, 0.7, 700),
        make_trial(8, {"rank/b": "spatial:16"}, 30.0, 0.9, 900),
    ]


def test_every_round_keeps_the_best_fold_and_the_best_rank(make_trial: MakeTrial) -> None:
    trials = candidates(make_trial)
    first = one_round(trials, [], 4)
    assert set(first[:2]) <= {1, 2, 3, 4}
    assert first[2:] == [6, 8]
    second = one_round(trials, [t for number in first for t in trials if t.number == number], 4)
    assert set(first[:2]) | set(second[:2]) == {1, 2, 3, 4}
    assert second[2:] == [5, 7]


def test_one_place_for_both_goes_to_what_was_promoted_less(make_trial: MakeTrial) -> None:
    trials = candidates(make_trial)
    assert one_round(trials, [], 2)[1] == 6
    assert one_round(trials, [trials[5]], 2)[1] == 8
    assert one_round(trials, [], 1)[0] in (1, 2, 3, 4)


def test_no_place_is_kept_for_what_the_round_holds_already(make_trial: MakeTrial) -> None:
    fold = make_trial(9, {"fold/a": "on", "prune/a": 8}, 0.1, 0.05, 50)  # before everything else
    trials = [*candidates(make_trial), fold]
    chosen = one_round(trials, [], 3)
    assert chosen[0] == 9
    assert chosen[2] == 8
    assert not {5, 6} & set(chosen)


def test_what_breaks_a_limit_on_cost_is_not_promoted(make_trial: MakeTrial) -> None:
    small = parse_goals([], ["size<=600"], ["cpu"])
    trials = [make_trial(1, {"bits/a": 8}, 0.1, 0.1, 601), make_trial(2, {"prune/a": 8}, 9.0, 0.9, 600)]
    chosen = next_promotion(trials, [], 0, 4, small)
    assert chosen is not None
    assert chosen.number == 2
    assert next_promotion(trials, [chosen], 0, 4, small) is None


def test_ranks_are_those_of_the_objectives(make_trial: MakeTrial) -> None:
    trials = [make_trial(1, {"bits/a": 8}, 1.0, 0.1, 900), make_trial(2, {"prune/a": 8}, 0.9, 0.9, 800)]
    assert numbers(by_promise(trials, parse_goals(["accuracy", "size"], [], ["cpu"]))) == [2, 1]
