"""Cores of this machine, as a measurement sees them: which are ours, who else used them, real-time priority."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Fields of a "cpuN" line of /proc/stat that are time spent: user, nice, system, irq, softirq (proc(5)).
_BUSY_FIELDS = (1, 2, 3, 6, 7)
# What the hypervisor gave to other machines while this one wanted to work.
_STEAL_FIELD = 8


def available_cores() -> tuple[int, ...]:
    """Lists the cores that this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def pin(cores: tuple[int, ...]) -> None:
    """Restricts this process, and the threads it starts later, to some cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Time on a set of cores, in s.

    Attributes:
        wall_s: Passed time, times the number of cores.
        foreign_s: What other processes spent on them.
        steal_s: What a hypervisor took from them for other machines.
    """

    wall_s: float
    foreign_s: float
    steal_s: float


class CoreClock:
    """Tells the time that others spent on some cores since it was made."""

    def __init__(self, cores: tuple[int, ...]) -> None:
        self._cores = cores
        self._start = self._read()

    def elapsed(self) -> CoreTime:
        """Gives the time since the clock was made.

        /proc/stat counts in ticks of 10 ms, so `foreign_s` of a short span can be off by a tick per core, in either
        direction; sum it over spans before clamping it at 0.
        """
        wall, busy, steal, own = (now - start for now, start in zip(self._read(), self._start, strict=True))
        return CoreTime(wall * len(self._cores), busy - own, steal)

    def _read(self) -> tuple[float, float, float, float]:
        return time.perf_counter(), *_busy_and_steal_s(self._cores), time.process_time()


@contextlib.contextmanager
def realtime_priority() -> Iterator[bool]:
    """Runs all threads of this process before those of ordinary programs, where that is permitted.

    Yields:
        Whether it was. Keep the body short: nothing else runs on these cores meanwhile.
    """
    is_realtime = _schedule("SCHED_FIFO", 1)
    try:
        yield is_realtime
    finally:
        if is_realtime:
            _schedule("SCHED_OTHER", 0)


def _schedule(policy: str, priority: int) -> bool:
    tasks = Path("/proc/self/task")
    if not hasattr(os, policy) or not tasks.is_dir():
        return False
    for task in tasks.iterdir():
        try:
            os.sched_setscheduler(int(task.name), getattr(os, policy), os.sched_param(priority))
        except ProcessLookupError:
            continue  # The thread has ended since it was listed.
        except OSError:
            return False
    return True


def _busy_and_steal_s(cores: tuple[int, ...]) -> tuple[float, float]:
    """Sums the time of cores since the machine started; where the system does not say, this process's own."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return time.process_time(), 0.0
    wanted = {f"cpu{core}" for core in cores}
    counts = [fields for fields in (line.split() for line in lines) if fields and fields[0] in wanted]
    busy = sum(int(fields[position]) for fields in counts for position in _BUSY_FIELDS)
    steal = sum(int(fields[_STEAL_FIELD]) for fields in counts)
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    return busy / ticks_per_s, steal / ticks_per_s
