import math
from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.search.front import (
    REFERENCE,
    best_within,
    complete,
    front,
    front_hypervolume,
    objectives,
    ranked,
    reported_fidelity,
)
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration


def trial(
    number: int,
    drop: float,
    latency_ms: float,
    size_bytes: float,
    *,
    fidelity: Fidelity = Fidelity.SHORT,
    state: State = State.COMPLETE,
    is_verified: bool | None = None,
) -> Trial:
    scores = {
        "accuracy_drop": Score("accuracy_drop", drop, "pt", False),
        "latency_ms": Score("latency_ms", latency_ms, "ms", False),
        "size_bytes": Score("size_bytes", size_bytes, "bytes", False),
    }
    if state is not State.COMPLETE:
        scores.pop("accuracy_drop")
    choices = {"prune/x": number} if number else {}
    return Trial(number, Configuration.of(choices), fidelity, state, scores, is_verified=is_verified)


BASELINE = trial(0, 0.0, 64.0, 6400.0, fidelity=Fidelity.FULL)


def numbers(trials: list[Trial]) -> list[int]:
    return [each.number for each in trials]


def test_objectives_by_hand() -> None:
    # Half of five points; 8 of 64 times faster is half of the logarithm; 64 times smaller is all of it.
    assert objectives(trial(1, 2.5, 8.0, 100.0), BASELINE) == pytest.approx((0.5, -0.5, -1.0))
    assert objectives(BASELINE, BASELINE) == (0.0, 0.0, 0.0)


def test_the_front_by_hand_with_the_fastest_last() -> None:
    trials = [
        BASELINE,
        trial(1, 1.0, 8.0, 800.0),
        trial(2, 0.5, 16.0, 900.0),
        trial(3, 1.5, 9.0, 850.0),  # dominated by 1
        trial(4, 2.0, 4.0, 700.0),
    ]
    assert numbers(front(trials, Fidelity.SHORT)) == [2, 1, 4]


def test_the_front_compares_one_fidelity() -> None:
    trials = [BASELINE, trial(1, 1.0, 8.0, 800.0), trial(2, 0.1, 2.0, 100.0, fidelity=Fidelity.FULL)]
    assert numbers(front(trials, Fidelity.SHORT)) == [1]
    assert numbers(front(trials, Fidelity.FULL)) == [0, 2]
    assert front(trials, Fidelity.CALIBRATED) == []
    assert front([], Fidelity.SHORT) == []


def test_what_did_not_end_well_is_not_in_the_front() -> None:
    best = {"drop": 0.0, "latency_ms": 1.0, "size_bytes": 10.0}
    trials = [
        BASELINE,
        trial(1, 1.0, 8.0, 800.0, is_verified=True),
        trial(2, **best, is_verified=False),
        trial(3, **best, state=State.FAILED),
        trial(4, **best, state=State.DOMINATED),
    ]
    assert numbers(front(trials, Fidelity.SHORT)) == [1]
    assert numbers(complete(trials, Fidelity.SHORT)) == [1]
    verified = trial(2, **best, is_verified=True)
    assert numbers(front([*trials, verified], Fidelity.SHORT)) == [2]


def test_the_hypervolume_by_hand() -> None:
    # (.5, -.5, -1) holds .5 x .5 x 1 of the box; (0, -.25, -.25) holds 1 x .25 x .25, of which .5 x .25 x .25 is
    # held already.
    half = trial(1, 2.5, 8.0, 100.0)
    free = trial(2, 0.0, 64.0 / 64**0.25, 6400.0 / 64**0.25)
    assert front_hypervolume([BASELINE, half], Fidelity.SHORT) == pytest.approx(0.25)
    assert front_hypervolume([BASELINE, half, free], Fidelity.SHORT) == pytest.approx(0.25 + 0.03125)
    assert front_hypervolume([BASELINE], Fidelity.SHORT) == 0.0


@pytest.mark.parametrize(
    ("drop", "latency_ms", "size_bytes", "expected"),
    [
        (0.0, 1.0, 100.0, 1.0),  # the far corner
        (-3.0, 0.1, 1.0, 1.0),  # what is better than the box fills it, and no more
        (5.0, 1.0, 100.0, 0.0),  # the whole five points lost
        (0.0, 64.0, 100.0, 0.0),  # as slow as the baseline
        (0.0, 1.0, 7000.0, 0.0),  # larger than it
    ],
)
def test_the_hypervolume_stays_within_its_box(
    drop: float, latency_ms: float, size_bytes: float, expected: float
) -> None:
    trials = [BASELINE, trial(1, drop, latency_ms, size_bytes)]
    assert front_hypervolume(trials, Fidelity.SHORT) == pytest.approx(expected)


def test_the_reference_is_the_worst_corner() -> None:
    assert objectives(trial(1, 5.0, 64.0, 6400.0), BASELINE) == pytest.approx(REFERENCE)
    assert math.prod(abs(lowest - worst) for lowest, worst in zip((0, -1, -1), REFERENCE, strict=True)) == 1


def test_the_full_fidelity_is_reported_once_there_is_a_member() -> None:
    short = [BASELINE, trial(1, 1.0, 8.0, 800.0)]
    assert reported_fidelity(short) is Fidelity.SHORT
    failed = trial(2, 1.0, 8.0, 800.0, fidelity=Fidelity.FULL, state=State.FAILED)
    assert reported_fidelity([*short, failed]) is Fidelity.SHORT
    member = trial(3, 1.0, 8.0, 800.0, fidelity=Fidelity.FULL)
    assert reported_fidelity([*short, member]) is Fidelity.FULL


def test_the_best_is_the_fastest_that_loses_little_enough() -> None:
    trials = [
        BASELINE,
        trial(1, 0.5, 16.0, 900.0),
        trial(2, 1.0, 8.0, 800.0),
        trial(3, 1.1, 4.0, 700.0),
        trial(4, 0.0, 1.0, 10.0, is_verified=False),
    ]
    best = best_within(trials, Fidelity.SHORT, 1.0)
    assert best is not None
    assert best.number == 2
    assert best_within(trials, Fidelity.SHORT, 0.1) is None


def timed(number: int, drop: float, latency_ms: float, half_width: float = 0.0, size_bytes: float = 800.0) -> Trial:
    """With the interval `latency_ms` times or over `1 + half_width`."""
    made = trial(number, drop, latency_ms, size_bytes)
    low, high = latency_ms / (1 + half_width), latency_ms * (1 + half_width)
    latency = Score("latency_ms", latency_ms, "ms", False, low, high)
    return replace(made, scores={**made.scores, "latency_ms": latency})


@pytest.mark.parametrize(
    ("faster_ms", "half_width", "expected"),
    [
        (9.9, 0.0, [1]),  # 1 % faster is a tie: no reason to lose accuracy for
        (9.8, 0.0, [1, 2]),
        (9.8, 0.01, [1, 2]),  # the combined half-width, 1.41 %, stays below the difference of 2 %
        (9.8, 0.015, [1]),  # 2.1 %
        (9.8, math.inf, [1]),  # nothing is known
    ],
)
def test_a_latency_that_is_not_really_lower_buys_no_place(
    faster_ms: float, half_width: float, expected: list[int]
) -> None:
    accurate = timed(1, 0.5, 10.0, min(half_width, 0.0149))
    assert numbers(front([BASELINE, accurate, timed(2, 0.6, faster_ms, half_width)], Fidelity.SHORT)) == expected


def test_of_what_is_equal_but_for_a_tie_the_faster_one_stays() -> None:
    assert numbers(front([timed(1, 0.5, 10.0), timed(2, 0.5, 9.95)], Fidelity.SHORT)) == [2]


def test_a_chain_of_ties_puts_off_nothing_that_is_really_faster() -> None:
    # #2 is a tie with #1 and #3 with #2, but #3 is 2 % faster than #1.
    trials = [timed(1, 0.1, 10.0), timed(2, 0.2, 9.9), timed(3, 0.3, 9.8)]
    assert numbers(front(trials, Fidelity.SHORT)) == [1, 3]


def test_a_wide_interval_puts_nothing_off_that_was_measured_well() -> None:
    trials = [timed(1, 0.1, 10.0, 0.3), timed(2, 0.2, 9.0)]
    assert numbers(front(trials, Fidelity.SHORT)) == [1, 2]


def test_the_best_is_a_member_of_the_front() -> None:
    best = best_within([timed(1, 0.5, 10.0), timed(2, 0.9, 9.95)], Fidelity.SHORT, 1.0)
    assert best is not None
    assert best.number == 1


def test_ranks_by_hand() -> None:
    trials = [
        trial(1, 1.0, 8.0, 800.0),
        trial(2, 0.5, 16.0, 900.0),
        trial(3, 1.5, 9.0, 850.0),  # behind 1
        trial(4, 1.6, 10.0, 860.0),  # behind 3
        trial(5, 0.6, 17.0, 800.0),
        trial(6, 0.7, 17.5, 850.0),  # behind 5
    ]
    assert [sorted(numbers(layer)) for layer in ranked(trials)] == [[1, 2, 5], [3, 6], [4]]
    assert ranked([]) == []
