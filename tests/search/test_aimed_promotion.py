from collections.abc import Callable

from parefront.search.aimed_promotion import next_aimed_promotion
from parefront.search.goals import parse_goals
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


def test_promotions_under_way_count_as_if_they_came_out_as_predicted(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.55, 500),
        make_trial(2, {"bits/b": 8}, 0.9, 0.5, 400),
        make_trial(3, {"prune/a": 8}, 8.0, 0.1, 100),
    ]
    # Alone #2 promises most: .9 x .69 = .62; #1 .95 x .6 = .57; #3, predicted at 3.2, next to nothing.
    first = next_aimed_promotion(trials)
    assert first is trials[2]
    # The second target is 2.5 points. With #2 there, predicted at .36, #1 would be no faster; #3 has .08 x log 5 = .13.
    second = next_aimed_promotion(trials, under_way=[first])
    assert second is trials[3]
    assert next_aimed_promotion(trials, under_way=[first, second]) is trials[1]
    assert next_aimed_promotion(trials, under_way=trials[1:]) is None


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


def test_with_a_limit_the_full_fine_tune_is_aimed_at_it(make_trial: MakeTrial) -> None:
    """Within 2 points #3 promises most; with nothing said the first aim is 1 point, and #2 does."""
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(2, {"bits/b": 8}, 0.9, 0.5, 400),
        make_trial(3, {"prune/a": 8}, 4.0, 0.1, 100),
    ]
    # #3 is predicted at 1.6: a chance of .79 to stay within 2 points, times log 10; of .12 to stay within 1.
    limited = next_aimed_promotion(trials, parse_goals([], ["accuracy_drop<=2pt"], ["cpu"]))
    free = next_aimed_promotion(trials)
    assert limited is not None
    assert free is not None
    assert (limited.number, free.number) == (3, 2)


def test_what_breaks_a_limit_on_cost_is_not_promoted(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.8, 500),
        make_trial(2, {"bits/b": 8}, 0.9, 0.5, 700),
    ]
    chosen = next_aimed_promotion(trials, parse_goals([], ["size<=600"], ["cpu"]))
    assert chosen is not None
    assert chosen.number == 1


def test_the_gain_is_that_of_the_main_cost(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 0.5, 0.1, 900),
        make_trial(2, {"bits/b": 8}, 0.5, 0.9, 100),
    ]
    chosen = next_aimed_promotion(trials, parse_goals(["accuracy", "size", "latency"], [], ["cpu"]))
    assert chosen is not None
    assert chosen.number == 2


def test_where_nothing_keeps_the_limit_on_accuracy_the_nearest_is_trained(make_trial: MakeTrial) -> None:
    """The limit of half a point is one of 1.25 after the short fine-tune: both are beyond it, the nearer is first."""
    trials = [
        make_trial(0, {}, 0.0, 1.0, 1000),
        make_trial(1, {"bits/a": 8}, 2.0, 0.5, 500),
        make_trial(2, {"bits/b": 8}, 9.0, 0.4, 400),
    ]
    limited = parse_goals([], ["accuracy_drop<=0.5pt"], ["cpu"])
    chosen = next_aimed_promotion(trials, limited)
    assert chosen is not None
    assert chosen.number == 1
    trials.append(make_trial(3, {"bits/a": 8}, 0.4, 0.5, 500, FULL, parent=1))
    chosen = next_aimed_promotion(trials, limited)
    assert chosen is not None
    assert chosen.number == 2
