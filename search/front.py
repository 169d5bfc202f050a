"""Which trials form the Pareto front of a run, and what one number says how good it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..hardware_profiles.measuring.measurement import TIE
from .pareto import Point, hypervolume
from .trial import Fidelity, State, Trial

MAX_DROP = 5.0
"""Percentage points of accuracy below the baseline at which a candidate is worth nothing."""
MAX_RATIO = 64.0
"""Speed-up and size ratio that fill the hypervolume's box."""


def objectives(trial: Trial, baseline: Trial) -> Point:
    """A complete trial as a point, see `point`."""
    return point(
        trial.value("accuracy_drop"),
        trial.value("latency_ms") / baseline.value("latency_ms"),
        trial.value("size_bytes") / baseline.value("size_bytes"),
    )


def point(drop: float, latency_ratio: float, size_ratio: float) -> Point:
    """(accuracy drop, log latency ratio, log size ratio), all minimised, the box from `REFERENCE` to (0, -1, -1).

    Ratios in logarithms, so that halving a small network counts as much as halving a large one.

    Args:
        drop: Percentage points.
        latency_ratio: Over the baseline's.
        size_ratio: Over the baseline's.
    """
    scale = math.log(MAX_RATIO)
    return drop / MAX_DROP, math.log(latency_ratio) / scale, math.log(size_ratio) / scale


REFERENCE: Point = (1.0, 0.0, 0.0)
"""The worst corner: five points lost, as slow and as large as the baseline."""


def complete(trials: Iterable[Trial], fidelity: Fidelity) -> list[Trial]:
    """The complete trials of one fidelity, in order; members that failed verification are left out."""
    return [t for t in trials if t.state is State.COMPLETE and t.fidelity is fidelity and t.is_verified is not False]


def front(trials: Sequence[Trial], fidelity: Fidelity) -> list[Trial]:
    """The complete trials of one fidelity that no other makes superfluous, fastest last; see `ranked`."""
    layers = ranked(complete(trials, fidelity))
    return sorted(layers[0], key=lambda trial: -trial.value("latency_ms")) if layers else []


def ranked(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Complete trials by non-dominated rank: the front, then the front of the others, and so on.

    A trial is left to a later rank where a member of this one is as accurate, as small and as fast. Latencies that
    differ by less than the combined half-widths of their intervals, or by less than a tie, count as equal. As accuracy
    and size are compared exactly and only members put others off, no chain of ties can put off what is really faster.
    """
    left = sorted(map(_standing, trials), key=lambda each: (each.drop, each.size, each.log_ms, each.trial.number))
    layers = []
    while left:
        members: list[_Standing] = []
        others: list[_Standing] = []
        for each in left:  # sorted, so only an earlier one can be as good
            (others if any(_is_as_good(member, each) for member in members) else members).append(each)
        layers.append([member.trial for member in members])
        left = others
    return layers


@dataclass(frozen=True, slots=True)
class _Standing:
    """What ranks a trial; the half-width is that of the logarithm of the latency."""

    trial: Trial
    drop: float
    size: float
    log_ms: float
    half_width: float


def _standing(trial: Trial) -> _Standing:
    latency = trial.scores["latency_ms"]
    low, high = latency.low, latency.high
    half_width = 0.0
    if low is not None and high is not None:
        half_width = math.log(high / low) / 2 if low > 0 and math.isfinite(high) else math.inf
    return _Standing(
        trial, trial.value("accuracy_drop"), trial.value("size_bytes"), math.log(latency.value), half_width
    )


def _is_as_good(a: _Standing, b: _Standing) -> bool:
    # An interval wider than a tie must not be what puts others off: then the medians decide.
    tolerance = max(TIE, math.hypot(a.half_width, b.half_width)) if a.half_width <= TIE else 0.0
    return a.drop <= b.drop and a.size <= b.size and a.log_ms - b.log_ms <= tolerance


def reported_fidelity(trials: Iterable[Trial]) -> Fidelity:
    """The fidelity whose front is reported: full once there is a final member beside the baseline, else short."""
    has_final = any(
        t.fidelity is Fidelity.FULL and t.state is State.COMPLETE and len(t.configuration) > 0 for t in trials
    )
    return Fidelity.FULL if has_final else Fidelity.SHORT


def front_hypervolume(trials: Sequence[Trial], fidelity: Fidelity) -> float:
    """Share of the box (five points, 64x faster, 64x smaller) that the front dominates, between 0 and 1."""
    points = [objectives(trial, trials[0]) for trial in complete(trials, fidelity)]
    # The box reaches from the reference down to (0, -1, -1): a point better than that counts as on its face.
    clipped = [tuple(max(lowest, x) for lowest, x in zip((0.0, -1.0, -1.0), point, strict=True)) for point in points]
    return hypervolume(clipped, REFERENCE)


def best_within(trials: Sequence[Trial], fidelity: Fidelity, max_drop: float) -> Trial | None:
    """The fastest member of a fidelity's front that loses at most `max_drop` points; None if there is none."""
    eligible = [t for t in front(trials, fidelity) if t.value("accuracy_drop") <= max_drop]
    return min(eligible, key=lambda trial: trial.value("latency_ms"), default=None)
