"""How much of a search is left to do, how long that takes at the latest pace, and what will end it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from .clock import Clock, Spent
from .goals import Goals
from .rungs import Rungs
from .stopping import Limits, StoppingRule, recent_gain
from .trial import Fidelity, Trial

N_RECENT = 20
"""Latest durations of a kind that count: trials grow cheaper or dearer as a search goes on."""
N_TIMED = 3
"""Candidates that must have ended before a time left is told."""


N_KEPT_REPEATS = 2
"""Repeated measurements that time is kept for: more of them only where there is time left."""
MAX_KEPT = 0.5
"""Of the time that a session finds left, what is kept at most for what follows the search: final members of a search
that had no time would be worth nothing."""


class Kind(StrEnum):
    """Work whose duration is of one kind."""

    CANDIDATE = "candidate"
    PROMOTION = "promotion"
    REPEAT = "repeated measurement"
    FINAL = "final member"


@dataclass(frozen=True, slots=True)
class Tally:
    """What a record holds of this run's own work; what came from an earlier run is not counted.

    Attributes:
        n_candidates: Ended, whichever way.
        n_short: Promotions to the short fine-tune.
        n_full: Promotions to the full one.
        n_repeats: Trials that were measured again.
    """

    n_candidates: int
    n_short: int
    n_full: int
    n_repeats: int


def tally(trials: Sequence[Trial], lowest: Fidelity) -> Tally:
    """Counts the trials of a record; `lowest` is the first fidelity of candidates."""
    kinds = [kind_of(trial, lowest) for trial in trials if trial.configuration and not trial.is_reused]
    return Tally(*(kinds.count(kind) for kind in (Kind.CANDIDATE, Kind.PROMOTION, Kind.FINAL, Kind.REPEAT)))


def kind_of(trial: Trial, lowest: Fidelity) -> Kind:
    """What was done for a trial.

    The baseline's full fine-tune takes what a final member's takes, and it is measured by the full protocol, like
    whatever is measured again.
    """
    if trial.fidelity is Fidelity.FULL:
        return Kind.FINAL
    if trial.supersedes is not None or not trial.configuration:
        return Kind.REPEAT
    return Kind.PROMOTION if trial.fidelity is not lowest or trial.parent is not None else Kind.CANDIDATE


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is left of a run.

    Attributes:
        left_s: Wall time until its end, in s; None before enough was timed.
        ends_by: What will end it as far as can be foreseen: `candidates`, `time limit`, `processor-time limit`.
    """

    left_s: float | None
    ends_by: str


class Budget:
    """The sizes and limits of one search beside what was done and spent so far."""

    def __init__(
        self, rungs: Rungs, limits: Limits, clock: Clock, goals: Goals, trials: Sequence[Trial], n_slots: int = 1
    ) -> None:
        """Begins with the durations that the record knows.

        Args:
            rungs: Sizes.
            limits: What may end it before.
            clock: Tells what was spent.
            goals: What is searched for.
            trials: The record; the caller appends to it.
            n_slots: Trials that run at the same time.
        """
        self._rungs, self._limits, self._clock, self._goals, self._trials = rungs, limits, clock, goals, trials
        self._rule = StoppingRule(rungs.n_candidates, limits)
        self._durations = {kind: deque[float](maxlen=N_RECENT) for kind in Kind}
        for trial in trials:
            if trial.seconds and not trial.is_reused:
                kind = kind_of(trial, rungs.lowest)
                n_beside = n_slots if kind in (Kind.CANDIDATE, Kind.PROMOTION) else 1
                self._durations[kind].append(sum(trial.seconds.values()) / n_beside)
        self._ended_s = clock.spent().wall_s
        self._max_kept_s = MAX_KEPT * min(limits.left_s(clock.spent()).values(), default=math.inf)

    @property
    def tally(self) -> Tally:
        """This run's own work so far."""
        return tally(self._trials, self._rungs.lowest)

    def spent(self) -> Spent:
        """What the run took so far."""
        return self._clock.spent()

    def note_begin(self) -> None:
        """Whatever happened since the last trial was no part of the next one."""
        self._ended_s = self.spent().wall_s

    def note_end(self) -> None:
        """Takes the time since the last trial as the duration of the latest of the record."""
        now_s, trial = self.spent().wall_s, self._trials[-1]
        if not trial.is_reused:
            self._durations[kind_of(trial, self._rungs.lowest)].append(now_s - self._ended_s)
        self._ended_s = now_s

    def end_of_search(self, n_under_way: int) -> str:
        """Why no further candidate is begun, empty while there is room for one."""
        patience = self._limits.patience
        gain = recent_gain(self._trials, self._rungs.lowest, patience, self._goals) if patience else None
        wanted_s = self._mean_s(Kind.CANDIDATE) * (1 + n_under_way) + self._promotions_s()
        wanted_s += self._kept_s(n_repeats=N_KEPT_REPEATS)
        return self._rule.reason(self.tally.n_candidates + n_under_way, self.spent(), wanted_s, gain)

    def end_of_promotions(self) -> str:
        """The limit for which there is no time for one more promotion, empty while there is."""
        return self._limits.exceeded(self.spent(), self._mean_s(Kind.PROMOTION) + self._kept_s())

    def end_of_repeats(self) -> str:
        """The limit for which there is no time to measure one more trial again, empty while there is."""
        return self._limits.exceeded(self.spent(), self._mean_s(Kind.REPEAT) + self._kept_s())

    def end_of_finals(self) -> str:
        """The limit for which there is no time for one more final member, empty while there is."""
        return self._limits.exceeded(self.spent(), self._mean_s(Kind.FINAL))

    def forecast(self, *, is_searching: bool) -> Forecast:
        """What is left, by the latest durations; a stagnation that ends a search sooner cannot be foreseen."""
        left = self._limits.left_s(self.spent())
        if not is_searching or self._is_timed():
            work_s = self._finals_s() if not is_searching else self._work_s()
            left = {"candidates": work_s, **left}
        if not left:
            return Forecast(None, "candidates")
        name = min(left, key=lambda each: left[each])
        return Forecast(left[name], name)

    def _is_timed(self) -> bool:
        return len(self._durations[Kind.CANDIDATE]) >= min(N_TIMED, self._rungs.n_candidates)

    def _work_s(self) -> float:
        n_left = self._rungs.n_candidates - self.tally.n_candidates
        n_short = (self._rungs.n_short or 0) - self.tally.n_short if self._rungs.n_short is not None else 0
        return (
            max(0, n_left) * self._mean_s(Kind.CANDIDATE)
            + max(0, n_short) * self._mean_s(Kind.PROMOTION)
            + self._finals_s()
        )

    def _promotions_s(self) -> float:
        """What promotions take that are owed to the candidates so far."""
        n_owed = self._rungs.round_at(self.tally.n_candidates, is_last=True)[1] - self.tally.n_short
        return max(0, n_owed) * self._mean_s(Kind.PROMOTION)

    def _kept_s(self, n_repeats: int = 0) -> float:
        """Time kept for final members, and for measuring so many trials again before."""
        n_left = max(0, self._rungs.n_repeats - self.tally.n_repeats)
        return min(self._finals_s() + min(n_repeats, n_left) * self._mean_s(Kind.REPEAT), self._max_kept_s)

    def _finals_s(self) -> float:
        return max(0, self._rungs.n_full - self.tally.n_full) * self._mean_s(Kind.FINAL)

    def _mean_s(self, kind: Kind) -> float:
        """Of the latest; 0 before there was any."""
        return fmean(self._durations[kind]) if self._durations[kind] else 0.0
