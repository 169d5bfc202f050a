"""Ends work that takes more memory than was asked for, before it takes that of others."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

_CHECK_EVERY_S = 0.2
_STATUS = Path("/proc/self/status")
T = TypeVar("T")


class MemoryExceededError(Exception):
    """The process took more than it may; the work goes on in it, so that only the end of the process ends that."""


class MemoryGuard:
    """Does work in a thread of its own, always the same one, while the memory of the process is watched.

    A limit of the address space (`RLIMIT_AS`) would not do: libraries reserve much more than they ever use.
    """

    def __init__(self, max_bytes: int, resident_bytes: Callable[[], int] | None = None) -> None:
        """Begins to watch with the first work.

        Args:
            max_bytes: What the process may take.
            resident_bytes: Tells what it takes; the system does unless given.
        """
        self._max_bytes, self._resident_bytes = max_bytes, resident_bytes or _resident_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="work")

    def run(self, work: Callable[[], T]) -> T:
        """Does it; gives what it gives and raises what it raises.

        Raises:
            MemoryExceededError: The process took too much meanwhile.
        """
        done: Future[T] = self._thread.submit(work)
        while not wait([done], _CHECK_EVERY_S).done:
            if (taken := self._resident_bytes()) > self._max_bytes:
                raise MemoryExceededError(
                    f"a worker may take the {self._max_bytes / 1e9:.3g} GB of memory that its task asks for, but took "
                    f"{taken / 1e9:.3g} GB: raise resources.memory_bytes of the task"
                )
        return done.result()


def _resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
