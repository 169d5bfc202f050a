"""Which trials form the Pareto front of a run, and what one number says how good it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluators.evaluator import Score
from ..hardware_profiles.measuring.measurement import TIE
from .goals import DEFAULT_GOALS, Goals
from .pareto import hypervolume
from .trial import Fidelity, State, Trial


def complete(trials: Iterable[Trial], fidelity: Fidelity) -> list[Trial]:
    """The complete trials of one fidelity, in order.

    Left out are members that failed verification, and what was measured again: the later measurement stands.
    """
    every = [t for t in trials if t.state is State.COMPLETE and t.fidelity is fidelity and t.is_verified is not False]
    superseded = {t.supersedes for t in every}
    return [t for t in every if t.number not in superseded]


def front(trials: Sequence[Trial], fidelity: Fidelity, goals: Goals = DEFAULT_GOALS) -> list[Trial]:
    """The complete trials of one fidelity that keep all limits and that no other makes superfluous; see `ranked`.

    Returns:
        In falling order of the main cost: with latency among the objectives, fastest last.
    """
    members = next(layers(goals.allowed(complete(trials, fidelity)), goals), [])
    return sorted(members, key=lambda trial: -trial.value(goals.objectives.main_cost.score))


def ranked(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> list[list[Trial]]:
    """Complete trials by non-dominated rank: the front, then the front of the others, and so on.

    A trial is left to a later rank where a member of this one is as good in every objective. Measured scores that
    differ by less than the combined half-widths of their intervals, or by less than a tie, count as equal. As the
    others are compared exactly and only members put others off, no chain of ties can put off what is really better.
    """
    return list(layers(trials, goals))


def layers(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> Iterator[list[Trial]]:
    """The same one by one: who asks for the first need not wait for the others."""
    yield from standings(trials, goals).in_order().layers()


@dataclass(frozen=True, slots=True)
class Standings:
    """What ranks trials; in order, none can put off an earlier one.

    Attributes:
        trials: The n trials, an array of objects.
        exact: The objectives that are compared as they are, shape (n, exact ones).
        logs: The logarithms of the measured ones, shape (n, measured ones).
        half_widths: Of the intervals of these, the same shape.
    """

    trials: NDArray[np.object_]
    exact: NDArray[np.float64]
    logs: NDArray[np.float64]
    half_widths: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.trials)

    def of(self, positions: NDArray[np.intp]) -> Standings:
        """Some of them, in that order."""
        return Standings(
            self.trials[positions], self.exact[positions], self.logs[positions], self.half_widths[positions]
        )

    def joined(self, others: Standings) -> Standings:
        """These, and then others."""
        return Standings(
            np.concatenate([self.trials, others.trials]),
            np.concatenate([self.exact, others.exact]),
            np.concatenate([self.logs, others.logs]),
            np.concatenate([self.half_widths, others.half_widths]),
        )

    def in_order(self) -> Standings:
        """Sorted by all that is compared, at last by number."""
        numbers = np.array([trial.number for trial in self.trials])
        return self.of(np.lexsort((numbers, *self.logs.T[::-1], *self.exact.T[::-1])))  # the last key counts most

    def layers(self) -> Iterator[list[Trial]]:
        """Rank by rank, of what is in order."""
        left = self
        while len(left):
            # Only an earlier one can be as good: the first that is left is a member of this rank.
            members, is_later = list[Trial](), np.zeros(len(left), dtype=bool)
            undecided = np.arange(len(left))
            while len(undecided):
                members.append(left.trials[undecided[0]])
                others = left.of(undecided[1:])
                is_put_off = left.of(undecided[:1]).are_as_good_as(others)
                is_later[undecided[1:][is_put_off]] = True
                undecided = undecided[1:][~is_put_off]
            yield members
            left = left.of(np.flatnonzero(is_later))

    def are_as_good_as(self, others: Standings) -> NDArray[np.bool_]:
        """Whether each is as good as its other one in every objective, shape (n,); one goes with all."""
        tolerances = tolerated(self.half_widths, others.half_widths)
        are_close = (self.logs - others.logs <= tolerances).all(axis=1)
        return np.asarray((self.exact <= others.exact).all(axis=1) & are_close)


def standings(trials: Sequence[Trial], goals: Goals) -> Standings:
    """What ranks complete trials, as they come."""
    exact = [axis.score for axis in goals.objectives if not axis.quantity.is_measured]
    measured = [axis.score for axis in goals.objectives if axis.quantity.is_measured]
    n = len(trials)
    values = np.array([[trial.scores[name].value for name in exact] for trial in trials]).reshape(n, len(exact))
    logs = np.array([[math.log(trial.scores[name].value) for name in measured] for trial in trials])
    widths = np.array([[half_width(trial.scores[name]) for name in measured] for trial in trials])
    found = np.empty(n, dtype=object)
    found[:] = trials
    return Standings(found, values, logs.reshape(n, len(measured)), widths.reshape(n, len(measured)))


def tolerated(own: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much a measured score may be worse and still count as equally good, as a difference of logarithms.

    An interval wider than a tie must not be what puts others off: then the medians decide.

    Args:
        own: Half-widths of the intervals of the one that may put others off.
        others: Those of the others, of a shape that goes with it.
    """
    return np.where(own <= TIE, np.maximum(TIE, np.hypot(own, others)), 0.0)


def half_width(score: Score) -> float:
    """Of the interval of a score's logarithm."""
    if score.low is None or score.high is None:
        return 0.0
    return math.log(score.high / score.low) / 2 if score.low > 0 and math.isfinite(score.high) else math.inf


def reported_fidelity(trials: Iterable[Trial]) -> Fidelity:
    """The fidelity whose front is reported: full once there is a final member beside the baseline, else short."""
    has_final = any(
        t.fidelity is Fidelity.FULL and t.state is State.COMPLETE and len(t.configuration) > 0 for t in trials
    )
    return Fidelity.FULL if has_final else Fidelity.SHORT


def front_hypervolume(trials: Sequence[Trial], fidelity: Fidelity, goals: Goals = DEFAULT_GOALS) -> float:
    """Share of the objectives' box that the trials within all limits dominate, between 0 and 1."""
    objectives = goals.objectives
    held = goals.allowed(complete(trials, fidelity))
    points = [objectives.clipped(objectives.point(trial, trials[0])) for trial in held]
    return hypervolume(points, objectives.reference)


def best_within(
    trials: Sequence[Trial], fidelity: Fidelity, max_drop: float, goals: Goals = DEFAULT_GOALS
) -> Trial | None:
    """The front's member with the least main cost among those that lose at most `max_drop` points; None without one."""
    return best_of(front(trials, fidelity, goals), max_drop, goals)


def best_of(members: Sequence[Trial], max_drop: float, goals: Goals = DEFAULT_GOALS) -> Trial | None:
    """Of a front's members that lose at most `max_drop` points the one with the least main cost; None without one."""
    eligible = [t for t in members if t.value("accuracy_drop") <= max_drop]
    return min(eligible, key=lambda trial: trial.value(goals.objectives.main_cost.score), default=None)
