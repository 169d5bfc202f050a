"""When a search ends. Pure: counts, times and gains in, a reason out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..hardware_profiles.errors import SearchError
from .clock import Spent
from .goals import Goals
from .running_front import RunningHypervolume
from .trial import Fidelity, Trial

MIN_GAIN = 0.001
"""Of the hypervolume: a search whose front gains no more than this over `patience` candidates has come to rest."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a search beside the number of its candidates; None where nothing was said.

    Attributes:
        max_wall_s: Wall time of the whole run, final members included, in s.
        max_cpu_s: Processor time of the whole run, likewise; time on a GPU does not count.
        patience: Candidates without a gain in hypervolume.
    """

    max_wall_s: float | None = None
    max_cpu_s: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_wall_s", "max_cpu_s", "patience"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SearchError(f"{name} must be above 0, got {value:g}: leave it out for no limit")

    def exceeded(self, spent: Spent, wanted_s: float) -> str:
        """The limit that would be exceeded, in words; empty where there is room.

        Args:
            spent: By the run so far.
            wanted_s: Wall time of what is to be done yet, in s; its processor time is taken to be as usual in this run.
        """
        wanted = f", with {wanted_s:.0f} s wanted for what follows" if wanted_s >= 1 else ""
        if self.max_wall_s is not None and spent.wall_s + wanted_s > self.max_wall_s:
            return f"the time limit of {self.max_wall_s:g} s (spent {spent.wall_s:.0f} s{wanted})"
        if self.max_cpu_s is not None and spent.cpu_s + wanted_s * spent.n_busy > self.max_cpu_s:
            return f"the limit of {self.max_cpu_s:g} s of processor time (spent {spent.cpu_s:.0f} s{wanted})"
        return ""

    def left_s(self, spent: Spent) -> dict[str, float]:
        """Wall time until each limit in time is reached, at the usual number of busy processors."""
        left = {}
        if self.max_wall_s is not None:
            left["time limit"] = max(0.0, self.max_wall_s - spent.wall_s)
        if self.max_cpu_s is not None:
            left["processor-time limit"] = max(0.0, self.max_cpu_s - spent.cpu_s) / spent.n_busy
        return left


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Why no further candidate is begun.

    Attributes:
        n_candidates: How many there are to be.
        limits: What ends the search before.
    """

    n_candidates: int
    limits: Limits = NO_LIMITS

    def reason(self, n_begun: int, spent: Spent, wanted_s: float, gain: float | None) -> str:
        """The reason, or an empty text while the search goes on.

        Args:
            n_begun: Candidates that ended or are under way.
            spent: By the run so far.
            wanted_s: Wall time of one more candidate and of all that follows the search, in s.
            gain: In hypervolume over the last `patience` candidates, of it; None where there were fewer.
        """
        if n_begun >= self.n_candidates:
            return f"all {self.n_candidates} candidates"
        if exceeded := self.limits.exceeded(spent, wanted_s):
            return exceeded
        if self.limits.patience is not None and gain is not None and gain <= MIN_GAIN:
            return f"no gain in hypervolume above {MIN_GAIN:.1%} over the last {self.limits.patience} candidates"
        return ""


class RecentGain:
    """What the last candidates added to the hypervolume of the short front."""

    def __init__(self, trials: Sequence[Trial], lowest: Fidelity, patience: int | None, goals: Goals) -> None:
        """Follows a record.

        Args:
            trials: The caller appends to it.
            lowest: Fidelity of candidates.
            patience: How many are the last ones; None where nobody asks.
            goals: What is searched for.
        """
        self._trials, self._lowest, self._patience = trials, lowest, patience
        self._volumes = RunningHypervolume(trials, Fidelity.SHORT, goals)
        self._ended: list[int] = []
        self._n_seen = 0

    @property
    def value(self) -> float | None:
        """Of the hypervolume now, 0 to 1: 0 where there is none yet, None where fewer candidates have ended."""
        if self._patience is None:
            return None
        new = range(self._n_seen, len(self._trials))
        self._ended += [position for position in new if self._trials[position].is_candidate(self._lowest)]
        self._n_seen = len(self._trials)
        if len(self._ended) < self._patience:
            return None
        now, before = (self._volumes.after(n) for n in (len(self._trials), self._ended[-self._patience]))
        return max(0.0, now - before) / now if now > 0 else 0.0
