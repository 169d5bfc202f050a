from collections.abc import Callable

from parefront.search.aimed_promotion import next_aimed_promotion
from parefront.search.trial import Fidelity, Trial

MakeTrial = Callable[..., Trial]
FULL = Fidelity.FULL


def test_nothing_is_promoted_where_there_is_nothing(make_trial: MakeTrial) -> None:
    baseline = make_trial(0, {}, 0.0)
    assert next_aimed_promotion([]) is None
    assert next_aimed_promotion([baseline]) is None
    assert next_aimed_promotion([baseline, make_trial(1, {"bits/a": 8})]) is None  # it failed


def test_the_greatest_expected_gain_within_the_target_comes_first(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.8, 500),
        make_trial(2, {"bits/b": 8}, 0.9, 0.5, 400),
        make_trial(3, {"prune/a": 8}, 6.0, 0.1, 100),
    ]
    # 40 % of a short drop is taken to stay. Within the first target of 1 point, with a deviation of .5 points: #1 at .2
    # with a chance of .95, times log(1 / .8): .21; #2 at .36, .90 x .69 = .62; #3 at 2.4, .003 x 2.3 = .006.
    chosen = next_aimed_promotion(trials)
    assert chosen is not None
    assert chosen.number == 2


def test_the_gain_of_the_promoted_shifts_the_target(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.8, 500),
        make_trial(2, {"bits/b": 8}, 0.9, 0.5, 400),
        make_trial(3, {"prune/a": 8}, 3.0, 0.1, 100),
        make_trial(4, {"bits/b": 8}, -1.6, 0.5, 400, FULL, parent=2),
    ]
    # The full fine-tune won 2.5 points back: #3 is predicted at 0.5, within the next target of 1.
    chosen = next_aimed_promotion(trials)
    assert chosen is not None
    assert chosen.number == 3


def test_where_nothing_is_within_the_target_the_least_loss_is_taken(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 6.0, 0.3, 300),
        make_trial(2, {"bits/b": 8}, 4.0, 0.5, 400),
    ]
    chosen = next_aimed_promotion(trials)
    assert chosen is not None
    assert chosen.number == 2


def test_nobody_is_promoted_twice_not_even_who_failed(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.8, 500),
        make_trial(2, {"bits/b": 8}, 0.9, 0.5, 400),
        make_trial(3, {"bits/b": 8}, fidelity=FULL, parent=2),
    ]
    chosen = next_aimed_promotion(trials)
    assert chosen is not None
    assert chosen.number == 1
    trials.append(make_trial(4, {"bits/a": 8}, 0.4, 0.8, 500, FULL, parent=1))
    assert next_aimed_promotion(trials) is None


def test_the_best_fold_and_the_best_rank_are_kept_though_dominated(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.5, 500),
        make_trial(2, {"bits/b": 8}, 0.6, 0.4, 400),
        make_trial(3, {"fold/a": "on"}, 7.0, 0.9, 900),
        make_trial(4, {"fold/a": "on", "bits/a": 8}, 5.0, 0.8, 800),
        make_trial(5, {"rank/b": "spatial:8"}, 6.0, 0.7, 700),
    ]
    promoted = []
    for number in range(6, 10):
        chosen = next_aimed_promotion(trials)
        assert chosen is not None
        promoted.append(chosen.number)
        parent_drop = chosen.value("accuracy_drop")
        trials.append(make_trial(number, chosen.configuration, parent_drop, 0.4, 400, FULL, parent=chosen.number))
    # The front's two first, then the best that holds a fold (#4, not #3) and the best that holds a rank.
    assert promoted == [2, 1, 4, 5]
