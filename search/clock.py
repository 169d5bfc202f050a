"""Wall time and processor time that a run took so far, over all of its sessions."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .trial import Trial

ENDED = "ended"
"""Detail of a trial: the run's wall seconds and processor seconds at its end."""
SLOTS = "n_slots"
"""Among them: the trials that could run at the same time, where that was more than one."""
FRESH_S = 0.5
"""How old a processor time may be: to read it takes a look at every process of the machine."""
_PROC = Path("/proc")
# Fields of /proc/PID/stat behind the name in brackets (proc(5)): the parent; user and system time, the process's own
# and that of its ended children.
_PARENT_FIELD, _TIME_FIELDS = 1, slice(11, 15)


@dataclass(frozen=True, slots=True)
class Spent:
    """An amount of time.

    Attributes:
        wall_s: As a clock on the wall tells it, in s.
        cpu_s: Of all processors together, in s.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def n_busy(self) -> float:
        """Processors kept busy on average; one before anything was spent."""
        return self.cpu_s / self.wall_s if self.wall_s > 0 and self.cpu_s > 0 else 1.0


class Clock:
    """Counts what a run spends, from when it is made."""

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] | None = None,
        before: Spent = Spent(),
    ) -> None:
        """Begins to count.

        Args:
            wall: Tells the time in s.
            cpu: Tells the processor time in s; that of this process and its descendants unless given.
            before: What earlier sessions of the run spent.
        """
        self._wall, self._cpu = wall, cpu or _Sampled(processor_s)
        self._start = Spent(self._wall(), self._cpu())
        self.before = before

    def spent(self) -> Spent:
        """What the run took so far."""
        return Spent(self.wall_s(), self.before.cpu_s + self._cpu() - self._start.cpu_s)

    def wall_s(self) -> float:
        """Its wall time alone, in s: to read processor times of all processes takes milliseconds."""
        return self.before.wall_s + self._wall() - self._start.wall_s


class _Sampled:
    """Another counter, read at most every `FRESH_S`: a search asks several times a trial, for milliseconds each."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read, self._read_s, self._last = read, -math.inf, 0.0

    def __call__(self) -> float:
        now_s = time.monotonic()
        if now_s - self._read_s >= FRESH_S:
            self._read_s, self._last = now_s, self._read()
        return self._last


def spent_before(manifest: Mapping[str, Any], trials: Sequence[Trial]) -> Spent:
    """What the earlier sessions of a run spent.

    Args:
        manifest: Of the run; a session that was killed had no time to write it.
        trials: Of its record: each says when it ended.
    """
    ends = [trial.details[ENDED] for trial in trials if ENDED in trial.details]
    wall_s = max([manifest.get("seconds", {}).get("total", 0.0), *(end["wall_s"] for end in ends)])
    return Spent(wall_s, max([manifest.get("cpu_seconds", 0.0), *(end["cpu_s"] for end in ends)]))


def processor_s(root: Path = _PROC) -> float:
    """Processor time of this process and all that it started, in s. Time on a GPU is none of a processor's.

    Where the system has no /proc, processes that were started count only once they have ended.
    """
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    parents, ticks = _processes(root)
    family = {os.getpid()}
    while new := {process for process, parent in parents.items() if parent in family} - family:
        family |= new
    return total + sum(ticks[process] for process in family if process != os.getpid()) / os.sysconf("SC_CLK_TCK")


def _processes(root: Path) -> tuple[dict[int, int], dict[int, int]]:
    """Parent and clock ticks of every process."""
    parents, ticks = {}, {}
    for folder in root.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has ended since it was listed
        fields = text.rpartition(")")[2].split()  # the name may hold blanks and brackets itself
        parents[int(folder.name)] = int(fields[_PARENT_FIELD])
        ticks[int(folder.name)] = sum(map(int, fields[_TIME_FIELDS]))
    return parents, ticks
