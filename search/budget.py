"""How much of a search is left to do, how long that takes at the latest pace, and what will end it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from statistics import fmean

from .clock import Clock, Spent
from .goals import Goals
from .rungs import Rungs
from .stopping import Limits, RecentGain, StoppingRule
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

    def plus(self, more: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.n_candidates + more.n_candidates,
            self.n_short + more.n_short,
            self.n_full + more.n_full,
            self.n_repeats + more.n_repeats,
        )


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
    """The sizes and limits of one search beside what was done and spent so far.

    Attributes:
        n_slots: Trials that run at the same time.
    """

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
        self.n_slots = n_slots
        self._rungs, self._limits, self._clock, self._goals, self._trials = rungs, limits, clock, goals, trials
        self._rule = StoppingRule(rungs.n_candidates, limits)
        self._gain = RecentGain(trials, rungs.lowest, limits.patience, goals)
        self._tally, self._n_counted = Tally(0, 0, 0, 0), 0
        self._durations = {kind: deque[float](maxlen=N_RECENT) for kind in Kind}
        self._baseline_s: dict[Kind, float] = {}
        for trial in trials:
            if trial.seconds and not trial.is_reused:
                self._take(trial, sum(trial.seconds.values()))
        self._ended_s = clock.wall_s()
        self._max_kept_s = MAX_KEPT * min(limits.left_s(clock.spent()).values(), default=math.inf)

    @property
    def tally(self) -> Tally:
        """This run's own work so far."""
        new = list(islice(self._trials, self._n_counted, None))
        if new:
            self._n_counted += len(new)
            self._tally = self._tally.plus(tally(new, self._rungs.lowest))
        return self._tally

    def spent(self) -> Spent:
        """What the run took so far."""
        return self._clock.spent()

    def wall_s(self) -> float:
        """The wall time of that, in s."""
        return self._clock.wall_s()

    def note_begin(self) -> None:
        """Whatever happened since the last trial was no part of the next one."""
        self._ended_s = self.wall_s()

    def note_end(self, began_s: float | None = None) -> None:
        """Takes the duration of the latest trial of the record.

        Args:
            began_s: What the run had spent when it began. With one slot the time since the last trial is taken
                instead: what was proposed and decided in between belongs to it too.
        """
        now_s, trial = self.wall_s(), self._trials[-1]
        if not trial.is_reused:
            since_s = self._ended_s if self.n_slots == 1 or began_s is None else began_s
            self._take(trial, now_s - since_s)
        self._ended_s = now_s

    def _take(self, trial: Trial, duration_s: float) -> None:
        kind = kind_of(trial, self._rungs.lowest)
        if trial.configuration:
            self._durations[kind].append(duration_s)
        else:
            self._baseline_s[kind] = duration_s

    def end_of_search(self, n_under_way: int) -> str:
        """Why no further candidate is begun, empty while there is room for one."""
        wanted_s = self._next_s(Kind.CANDIDATE, n_under_way) + self._promotions_s()
        wanted_s += self._kept_s(n_repeats=N_KEPT_REPEATS)
        return self._rule.reason(self.tally.n_candidates + n_under_way, self._limited(), wanted_s, self._gain.value)

    def end_of_promotions(self) -> str:
        """The limit for which there is no time for one more promotion, empty while there is."""
        return self._limits.exceeded(self._limited(), self._next_s(Kind.PROMOTION) + self._kept_s())

    def end_of_repeats(self, n_under_way: int = 0) -> str:
        """The limit for which there is no time to measure one more trial again, empty while there is."""
        return self._limits.exceeded(self._limited(), self._next_s(Kind.REPEAT, n_under_way) + self._kept_s())

    def end_of_finals(self, n_under_way: int = 0) -> str:
        """The limit for which there is no time for one more final member, empty while there is."""
        return self._limits.exceeded(self._limited(), self._next_s(Kind.FINAL, n_under_way))

    def forecast(self, *, is_searching: bool) -> Forecast:
        """What is left, by the latest durations; a stagnation that ends a search sooner cannot be foreseen."""
        left = self._limits.left_s(self._limited())
        if not is_searching or self._is_timed():
            work_s = self._finals_s() if not is_searching else self._work_s()
            left = {"candidates": work_s, **left}
        if not left:
            return Forecast(None, "candidates")
        name = min(left, key=lambda each: left[each])
        return Forecast(left[name], name)

    def _limited(self) -> Spent:
        """What was spent of that which is limited: reading the processor time of all processes takes milliseconds."""
        return Spent(self.wall_s()) if self._limits.max_cpu_s is None else self.spent()

    def _is_timed(self) -> bool:
        return len(self._durations[Kind.CANDIDATE]) >= min(N_TIMED, self._rungs.n_candidates)

    def _work_s(self) -> float:
        n_left = self._rungs.n_candidates - self.tally.n_candidates
        n_short = (self._rungs.n_short or 0) - self.tally.n_short if self._rungs.n_short is not None else 0
        return (
            max(0, n_left) * self._share_s(Kind.CANDIDATE)
            + max(0, n_short) * self._share_s(Kind.PROMOTION)
            + self._finals_s()
        )

    def _promotions_s(self) -> float:
        """What promotions take that are owed to the candidates so far."""
        n_owed = self._rungs.round_at(self.tally.n_candidates, is_last=True)[1] - self.tally.n_short
        return max(0, n_owed) * self._share_s(Kind.PROMOTION)

    def _kept_s(self, n_repeats: int = 0) -> float:
        """Time kept for final members, and for measuring so many trials again before."""
        n_left = max(0, self._rungs.n_repeats - self.tally.n_repeats)
        return min(self._finals_s() + min(n_repeats, n_left) * self._share_s(Kind.REPEAT), self._max_kept_s)

    def _finals_s(self) -> float:
        return max(0, self._rungs.n_full - self.tally.n_full) * self._share_s(Kind.FINAL)

    def _next_s(self, kind: Kind, n_under_way: int = 0) -> float:
        """Wall time until one more of a kind has ended that begins now, beside so many."""
        if self._durations[kind]:
            return fmean(self._durations[kind])
        return self._share_s(kind) * (1 + n_under_way)

    def _share_s(self, kind: Kind) -> float:
        """What one more of a kind adds to the run's wall time: its duration over the slots.

        Until one has ended, it is what the baseline took, which had the whole machine to itself: so many side by side
        then take no longer than one after the other. 0 before there was any.
        """
        if self._durations[kind]:
            return fmean(self._durations[kind]) / self.n_slots
        return self._baseline_s.get(kind, 0.0)
