"""The front and the hypervolume of a record that grows: worked out anew only where a trial changes them.

A search asks after every trial. What `front` and `front_hypervolume` say of all trials is said here of the same list,
in a time that hardly grows with its length.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import islice

import numpy as np

from .front import Standings, complete, standings
from .goals import DEFAULT_GOALS, Goals
from .pareto import hypervolume, non_dominated
from .trial import Fidelity, State, Trial


class RunningFront:
    """See `front`."""

    def __init__(self, trials: Sequence[Trial], fidelity: Fidelity, goals: Goals = DEFAULT_GOALS) -> None:
        """Follows a record.

        Args:
            trials: The caller appends to it, and changes nothing else.
            fidelity: Compared.
            goals: Objectives and limits.
        """
        self._trials, self._fidelity, self._goals = trials, fidelity, goals
        self._n_seen = 0
        self._held = standings([], goals)
        self._front = self._held
        self._keys: list[tuple[float, ...]] = []
        self._members: list[Trial] = []

    @property
    def held(self) -> Standings:
        """All complete trials that keep the limits, in the order of the record."""
        _ = self.members  # follows the record
        return self._held

    @property
    def members(self) -> Sequence[Trial]:
        """In falling order of the main cost, as the record is now."""
        new = list(islice(self._trials, self._n_seen, None))
        self._n_seen += len(new)
        if _is_replacing(new, self._fidelity):
            self._held = standings(self._goals.allowed(complete(self._trials, self._fidelity)), self._goals)
            self._work_out()
        elif added := self._goals.allowed(complete(new, self._fidelity)):
            more = standings(added, self._goals)
            self._held = self._held.joined(more)
            if not all(self._is_put_off(more.of(np.array([k]))) for k in range(len(more))):
                self._work_out()
        return self._members

    def _is_put_off(self, one: Standings) -> bool:
        """Whether a member puts one off; then the front stays as it is: only members put others off."""
        n_before = bisect.bisect(self._keys, _keys(one)[0])
        return bool(self._front.of(np.arange(n_before)).are_as_good_as(one).any())

    def _work_out(self) -> None:
        ordered = self._held.in_order()
        members = next(ordered.layers(), [])
        cost = self._goals.objectives.main_cost.score
        self._front = standings(members, self._goals)
        self._keys = _keys(self._front)
        self._members = sorted(members, key=lambda trial: -trial.value(cost))


class RunningHypervolume:
    """See `front_hypervolume`."""

    def __init__(self, trials: Sequence[Trial], fidelity: Fidelity, goals: Goals = DEFAULT_GOALS) -> None:
        """Follows a record; the arguments are those of `RunningFront`."""
        self._trials, self._fidelity, self._goals = trials, fidelity, goals
        self._best = np.empty((0, len(goals.objectives)))
        self._volumes = [0.0]

    def after(self, n_trials: int) -> float:
        """Of the first so many trials."""
        for n in range(len(self._volumes), len(self._trials) + 1):
            self._volumes.append(self._next(n))
        return self._volumes[n_trials]

    def _next(self, n: int) -> float:
        """Of n trials, after that of one fewer."""
        new = [self._trials[n - 1]]
        is_replacing = _is_replacing(new, self._fidelity)
        if is_replacing:
            self._best, new = self._best[:0], list(self._trials[:n])
        objectives = self._goals.objectives
        held = self._goals.allowed(complete(new, self._fidelity))
        points = np.array([objectives.clipped(objectives.point(trial, self._trials[0])) for trial in held])
        points = points.reshape(len(held), len(objectives))
        added = [point for point in points if not (self._best <= point).all(axis=1).any()]
        if not added and not is_replacing:
            return self._volumes[-1]
        best = np.concatenate([self._best, *(point[None] for point in added)])
        self._best = best[non_dominated(best)]
        return hypervolume(self._best, objectives.reference)


def _is_replacing(trials: Sequence[Trial], fidelity: Fidelity) -> bool:
    """Whether one of them takes the place of an earlier trial."""
    return any(t.supersedes is not None and t.state is State.COMPLETE and t.fidelity is fidelity for t in trials)


def _keys(some: Standings) -> list[tuple[float, ...]]:
    """What `Standings.in_order` sorts by."""
    rows = zip(some.exact.tolist(), some.logs.tolist(), some.trials, strict=True)
    return [(*exact, *logs, trial.number) for exact, logs, trial in rows]
