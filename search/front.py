"""Which trials form the Pareto front of a run, and what one number says how good it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..hardware_profiles.measuring.measurement import TIE
from .goals import DEFAULT_GOALS, Goals
from .pareto import hypervolume
from .trial import Fidelity, State, Trial


def complete(trials: Iterable[Trial], fidelity: Fidelity) -> list[Trial]:
    """The complete trials of one fidelity, in order; members that failed verification are left out."""
    return [t for t in trials if t.state is State.COMPLETE and t.fidelity is fidelity and t.is_verified is not False]


def front(trials: Sequence[Trial], fidelity: Fidelity, goals: Goals = DEFAULT_GOALS) -> list[Trial]:
    """The complete trials of one fidelity that keep all limits and that no other makes superfluous; see `ranked`.

    Returns:
        In falling order of the main cost: with latency among the objectives, fastest last.
    """
    layers = ranked([t for t in complete(trials, fidelity) if goals.allow(t)], goals)
    return sorted(layers[0], key=lambda trial: -trial.value(goals.objectives.main_cost.score)) if layers else []


def ranked(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> list[list[Trial]]:
    """Complete trials by non-dominated rank: the front, then the front of the others, and so on.

    A trial is left to a later rank where a member of this one is as good in every objective. Measured scores that
    differ by less than the combined half-widths of their intervals, or by less than a tie, count as equal. As the
    others are compared exactly and only members put others off, no chain of ties can put off what is really better.
    """
    left = sorted((_standing(trial, goals) for trial in trials), key=lambda each: (each.exact, each.logs, each.number))
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
    """What ranks a trial.

    Attributes:
        exact: The objectives that are compared as they are.
        logs: The logarithms of the measured ones.
        half_widths: Of the intervals of these.
    """

    trial: Trial
    number: int
    exact: tuple[float, ...]
    logs: tuple[float, ...]
    half_widths: tuple[float, ...]


def _standing(trial: Trial, goals: Goals) -> _Standing:
    measured = [trial.scores[axis.score] for axis in goals.objectives if axis.quantity.is_measured]
    return _Standing(
        trial,
        trial.number,
        tuple(trial.value(axis.score) for axis in goals.objectives if not axis.quantity.is_measured),
        tuple(math.log(score.value) for score in measured),
        tuple(_half_width(score.low, score.high) for score in measured),
    )


def _half_width(low: float | None, high: float | None) -> float:
    """Of the interval of a score's logarithm."""
    if low is None or high is None:
        return 0.0
    return math.log(high / low) / 2 if low > 0 and math.isfinite(high) else math.inf


def _is_as_good(a: _Standing, b: _Standing) -> bool:
    if any(x > y for x, y in zip(a.exact, b.exact, strict=True)):
        return False
    widths = zip(a.half_widths, b.half_widths, strict=True)
    # An interval wider than a tie must not be what puts others off: then the medians decide.
    tolerances = [max(TIE, math.hypot(own, other)) if own <= TIE else 0.0 for own, other in widths]
    return all(x - y <= tolerance for x, y, tolerance in zip(a.logs, b.logs, tolerances, strict=True))


def reported_fidelity(trials: Iterable[Trial]) -> Fidelity:
    """The fidelity whose front is reported: full once there is a final member beside the baseline, else short."""
    has_final = any(
        t.fidelity is Fidelity.FULL and t.state is State.COMPLETE and len(t.configuration) > 0 for t in trials
    )
    return Fidelity.FULL if has_final else Fidelity.SHORT


def front_hypervolume(trials: Sequence[Trial], fidelity: Fidelity, goals: Goals = DEFAULT_GOALS) -> float:
    """Share of the objectives' box that the trials within all limits dominate, between 0 and 1."""
    objectives = goals.objectives
    held = [trial for trial in complete(trials, fidelity) if goals.allow(trial)]
    points = [objectives.clipped(objectives.point(trial, trials[0])) for trial in held]
    return hypervolume(points, objectives.reference)


def best_within(
    trials: Sequence[Trial], fidelity: Fidelity, max_drop: float, goals: Goals = DEFAULT_GOALS
) -> Trial | None:
    """The front's member with the least main cost among those that lose at most `max_drop` points; None without one."""
    eligible = [t for t in front(trials, fidelity, goals) if t.value("accuracy_drop") <= max_drop]
    return min(eligible, key=lambda trial: trial.value(goals.objectives.main_cost.score), default=None)
