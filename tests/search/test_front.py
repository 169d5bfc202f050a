import math
import random
from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.search.front import (
    best_within,
    complete,
    front,
    front_hypervolume,
    ranked,
    reported_fidelity,
)
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
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


# --- other objectives


def scored(number: int, drop: float, fidelity: Fidelity = Fidelity.SHORT, **costs: float) -> Trial:
    """With exact costs; `__` stands for the `@` before a profile's name."""
    values = {"accuracy_drop": drop, **{name.replace("__", "@"): value for name, value in costs.items()}}
    scores = {name: Score(name, value, "", False) for name, value in values.items()}
    return Trial(number, Configuration.of({"prune/x": number}), fidelity, State.COMPLETE, scores)


def goals(*objectives: str, limits: tuple[str, ...] = ()) -> Goals:
    return parse_goals(objectives, limits, ["cpu", "board"])


def test_a_front_in_two_objectives() -> None:
    two = goals("accuracy", "size")
    trials = [
        scored(1, 0.5, size_bytes=900.0, latency_ms=1.0),
        scored(2, 1.0, size_bytes=800.0, latency_ms=9.0),
        scored(3, 1.5, size_bytes=850.0, latency_ms=0.1),  # the fastest, but nobody asked for that
    ]
    assert numbers(front(trials, Fidelity.SHORT, two)) == [1, 2]
    assert numbers(front(trials, Fidelity.SHORT)) == [2, 1, 3]


def test_the_hypervolume_in_two_objectives_by_hand() -> None:
    two = goals("accuracy", "size")
    baseline = scored(0, 0.0, Fidelity.FULL, size_bytes=6400.0)
    # (.5, -1) holds .5 x 1 of the box, (.2, -.5) another .3 x .5.
    half, more = scored(1, 2.5, size_bytes=100.0), scored(2, 1.0, size_bytes=800.0)
    assert front_hypervolume([baseline, half], Fidelity.SHORT, two) == pytest.approx(0.5)
    assert front_hypervolume([baseline, half, more], Fidelity.SHORT, two) == pytest.approx(0.65)


def test_a_front_in_four_objectives() -> None:
    four = goals("accuracy", "latency", "size", "macs")
    best = {"latency_ms": 1.0, "size_bytes": 100.0, "macs": 1e6}
    trials = [
        scored(1, 1.0, **best),
        scored(2, 1.0, **{**best, "macs": 0.9e6, "size_bytes": 200.0}),
        scored(3, 1.0, **{**best, "macs": 1.1e6}),  # nothing is better than in #1
        scored(4, 1.0, **{**best, "latency_ms": 0.5, "macs": 9e6}),
    ]
    assert sorted(numbers(front(trials, Fidelity.SHORT, four))) == [1, 2, 4]
    # 1/8 in each of three costs is half of each side; 2.5 points are half of the fourth.
    baseline = scored(0, 0.0, Fidelity.FULL, latency_ms=8.0, size_bytes=800.0, macs=8e6)
    sixteenth = scored(5, 2.5, **best)
    assert front_hypervolume([baseline, sixteenth], Fidelity.SHORT, four) == pytest.approx(1 / 16)


def test_a_front_over_two_hardware_profiles() -> None:
    both = goals("accuracy", "latency", "latency@board")
    trials = [
        scored(1, 1.0, latency_ms=1.0, latency_ms__board=9.0),
        scored(2, 1.0, latency_ms=2.0, latency_ms__board=5.0),
        scored(3, 1.0, latency_ms=2.5, latency_ms__board=6.0),  # slower than #2 on both
        scored(4, 1.1, latency_ms=1.99, latency_ms__board=4.97),  # on both a tie with #2, and it loses more
    ]
    assert numbers(front(trials, Fidelity.SHORT, both)) == [2, 1]
    assert numbers(front(trials, Fidelity.SHORT, goals("latency@board", "accuracy"))) == [2]


# --- limits


@pytest.mark.parametrize(
    ("fidelity", "expected"),
    [(Fidelity.CALIBRATED, [1, 2, 3]), (Fidelity.SHORT, [1, 2]), (Fidelity.FULL, [1])],
)
def test_members_keep_the_limits_of_their_fidelity(fidelity: Fidelity, expected: list[int]) -> None:
    """One point after the full fine-tune is 2.5 points after the short one, and says nothing about no training."""
    limited = goals(limits=("accuracy_drop<=1pt", "latency<=8ms"))
    trials = [
        trial(1, 1.0, 8.0, 800.0, fidelity=fidelity),
        trial(2, 2.5, 4.0, 400.0, fidelity=fidelity),
        trial(3, 40.0, 2.0, 200.0, fidelity=fidelity),
        trial(4, 0.0, 8.1, 100.0, fidelity=fidelity),  # too slow, however good
    ]
    assert numbers(front(trials, fidelity, limited)) == expected


def test_what_breaks_a_limit_puts_nothing_off_and_holds_no_volume() -> None:
    small = goals(limits=("size<=1kB",))
    large, member = trial(1, 0.0, 1.0, 1001.0), trial(2, 2.5, 8.0, 100.0)
    assert numbers(front([BASELINE, large, member], Fidelity.SHORT, small)) == [2]
    assert front_hypervolume([BASELINE, large, member], Fidelity.SHORT, small) == pytest.approx(0.25)
    assert front_hypervolume([BASELINE, large], Fidelity.SHORT, small) == 0.0


def test_the_best_has_the_least_main_cost() -> None:
    trials = [BASELINE, trial(1, 0.5, 4.0, 900.0), trial(2, 0.9, 8.0, 300.0), trial(3, 1.5, 9.0, 200.0)]
    best = best_within(trials, Fidelity.SHORT, 1.0, goals("accuracy", "size", "latency"))
    assert best is not None
    assert best.number == 2
    limited = best_within(trials, Fidelity.SHORT, 1.0, goals("accuracy", "size", limits=("latency<=5ms",)))
    assert limited is not None
    assert limited.number == 1


# --- the ranks of many trials


def test_ranks_are_those_of_the_definition() -> None:
    """A member of a rank is put off by no member of it; what is put off is so by an earlier one of the rank before."""
    drawn = random.Random(0)
    trials = [
        timed(number, round(drawn.uniform(0, 5), 1), math.exp(drawn.gauss(0, 0.5)), drawn.choice((0.0, 0.01, 0.2)))
        for number in range(1, 200)
    ]
    left = sorted(trials, key=lambda t: (t.value("accuracy_drop"), 800.0, math.log(t.value("latency_ms")), t.number))
    for layer in ranked(trials):
        members: list[Trial] = []
        for each in left:
            if not any(is_as_good(member, each) for member in members):
                members.append(each)
        assert numbers(layer) == numbers(members)
        left = [each for each in left if each not in members]
    assert left == []


def is_as_good(a: Trial, b: Trial) -> bool:
    """In drop and latency; the sizes of `timed` are all the same."""
    own, other = (math.log(t.scores["latency_ms"].high / t.scores["latency_ms"].low) / 2 for t in (a, b))  # type: ignore[operator]
    tolerance = max(0.015, math.hypot(own, other)) if own <= 0.015 else 0.0
    is_fast = math.log(a.value("latency_ms")) - math.log(b.value("latency_ms")) <= tolerance
    return a.value("accuracy_drop") <= b.value("accuracy_drop") and is_fast


def test_default_goals_are_what_nothing_said_means() -> None:
    trials = [BASELINE, trial(1, 1.0, 8.0, 800.0), trial(2, 2.0, 9.0, 700.0)]
    assert ranked(trials) == ranked(trials, DEFAULT_GOALS)
