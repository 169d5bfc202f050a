"""Which trials form the Pareto front of a run, and what one number says how good it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .pareto import Point, hypervolume, non_dominated
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
    """The non-dominated complete trials of one fidelity, fastest last."""
    if not trials:
        return []
    candidates = complete(trials, fidelity)
    members = [candidates[i] for i in non_dominated([objectives(trial, trials[0]) for trial in candidates])]
    return sorted(members, key=lambda trial: -trial.value("latency_ms"))


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
    """The fastest complete trial of a fidelity that loses at most `max_drop` points; None if there is none."""
    eligible = [t for t in complete(trials, fidelity) if t.value("accuracy_drop") <= max_drop]
    return min(eligible, key=lambda trial: trial.value("latency_ms"), default=None)
