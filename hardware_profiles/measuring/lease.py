"""Exclusive use of processor cores among all measurements on a machine, by file locks."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import MeasurementError

_POLL_S = 0.02
_FIRST_REPORT_S = 0.5
_REPORT_S = 5.0


class CoreLease:
    """Holds a set of cores; whoever else asks for one of them waits.

    There is one lock file per core, so that overlapping sets exclude each other too. The kernel drops the locks when
    the process ends in whatever way, so a killed measurement blocks nobody. The lock is advisory: it keeps out other
    measurements, not other programs.
    """

    def __init__(
        self,
        cores: Iterable[int],
        timeout_s: float = 600.0,
        folder: Path | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        """Describes a lease without taking it.

        Args:
            cores: The cores' numbers.
            timeout_s: How long `acquire` waits for others, in s.
            folder: Where the lock files lie, the system's temporary folder by default.
            on_wait: Told, now and then while `acquire` waits, what it waits for.
        """
        # In ascending order everywhere, so that two leases of overlapping sets cannot wait for each other.
        self._cores = tuple(sorted(set(cores)))
        self._timeout_s = timeout_s
        self._folder = folder
        self._on_wait = on_wait
        self._files: list[int] = []

    @property
    def is_held(self) -> bool:
        """Whether the cores are ours now."""
        return bool(self._files)

    def acquire(self) -> None:
        """Takes the cores, waiting for whoever holds them; does nothing while they are held already.

        Raises:
            MeasurementError: They did not become free in time.
        """
        if self.is_held:
            return
        deadline = time.monotonic() + self._timeout_s
        try:
            for core in self._cores:
                self._lock(core, deadline)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Gives the cores back; does nothing where none are held."""
        while self._files:
            os.close(self._files.pop())

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _lock(self, core: int, deadline: float) -> None:
        path = _lock_file(core, self._folder)
        # Read-only is enough for a lock, and works on a file that another user made.
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._files.append(file)
        next_report = time.monotonic() + _FIRST_REPORT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise MeasurementError(
                        f"core {core} must be free for measuring, but another measurement held it for "
                        f"{self._timeout_s:g} s: let that end, or give each its own cores with taskset"
                    ) from None
                if self._on_wait is not None and time.monotonic() >= next_report:
                    self._on_wait(f"another measurement holds core {core}")
                    next_report = time.monotonic() + _REPORT_S
                time.sleep(_POLL_S)


def wait_while_measured(cores: Iterable[int], folder: Path | None = None) -> None:
    """Waits until nobody holds any of some cores; returns at once where nobody does.

    It takes nothing itself, so it keeps no measurement waiting, and a holder that is killed keeps it waiting no longer.

    Args:
        cores: The cores' numbers.
        folder: Where the lock files lie, the system's temporary folder by default.
    """
    for core in cores:
        try:
            file = os.open(_lock_file(core, folder), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # Nobody has measured there yet.
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
        finally:
            os.close(file)


def _lock_file(core: int, folder: Path | None) -> Path:
    return (folder if folder is not None else Path(tempfile.gettempdir())) / f"parefront-core-{core}.lock"
