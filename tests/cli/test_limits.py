from parefront.cli.inspection_tables import word_limit
from parefront.cli.limits import LimitAnswer, limit_answers
from parefront.evaluators.estimate import Estimate
from parefront.search.constraints import Constraint
from parefront.spaces import Configuration

ESTIMATES = [
    Estimate("neutral", Configuration(), 9_000_000, 1, 4.0, 400_000),
    Estimate("middle", Configuration.of({"bits/a": 8}), 3_000_000, 1, 0.5, 200_000),
    Estimate("smallest", Configuration.of({"prune/a": 8}), 1_000_000, 1, 0.8, 50_000),
    Estimate("broken", Configuration.of({"fold/a": "on"}), reason="ValueError: no"),
]
FAST, SMALL = Constraint("latency", 0.6), Constraint("size", 1e5)


def words(*limits: Constraint) -> list[str]:
    return [word_limit(answer) for answer in limit_answers(ESTIMATES, limits)]


def test_each_limit_is_answered_with_what_is_reached() -> None:
    assert words(FAST, Constraint("macs", 5e5)) == [
        "latency<=0.6ms: can be kept (middle: latency<=0.5ms)",
        "macs<=500k: cannot be kept (the nearest, smallest: macs<=1M)",
    ]


def test_what_needs_training_or_another_measurement_is_not_guessed() -> None:
    assert words(Constraint("accuracy", 1.0), Constraint("energy", 1.0)) == [
        "accuracy_drop<=1pt: not known yet (only training tells)",
        "energy<=1mJ: not known yet (a search measures it, this does not)",
    ]


def test_limits_that_no_one_network_keeps_are_said_together() -> None:
    *_, both = limit_answers(ESTIMATES, [FAST, SMALL])
    expected = "none of these configurations keeps them at once; a mixed one may"
    assert both == LimitAnswer("latency<=0.6ms and size<=100kB", None, expected)
    assert len(limit_answers(ESTIMATES, [Constraint("latency", 0.9), SMALL])) == 2  # the smallest keeps both


def test_without_estimates_nothing_is_known() -> None:
    assert [answer.can_be_kept for answer in limit_answers([], [FAST, SMALL])] == [None, None]
