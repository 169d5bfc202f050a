"""What runs in the process of one worker."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..evaluators import Evaluation, Workbench
from .executor import Failure, Job, run_job
from .memory_guard import MemoryExceededError, MemoryGuard
from .worker_log import Told, listened

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker tells of itself once it is ready.

    Attributes:
        pid: Its process, for logs.
        version: Of parefront where it runs.
        machines: The key of the fingerprint of what measures, by the name of the hardware profile.
    """

    pid: int
    version: str
    machines: Mapping[str, str]


class Worker:
    """Opens one workbench, keeps it, and does one job after the other on it."""

    def __init__(self, open_bench: Callable[[], Workbench], max_memory_bytes: int | None = None) -> None:
        """Does nothing yet, so that whatever goes wrong in `start` can be told.

        Args:
            open_bench: Opens the workbench.
            max_memory_bytes: What this process may take; None where nothing watches it.
        """
        self._open_bench = open_bench
        self._guard = MemoryGuard(max_memory_bytes) if max_memory_bytes is not None else None
        self._bench: Workbench | None = None

    def start(self) -> WorkerFacts | Failure:
        """Opens the workbench: the baseline, the data and the calibration stay loaded from here on."""
        try:
            self._bench = self._guarded(self._open_bench)
        except Exception as error:
            return Failure(" ".join(f"{type(error).__name__}: {error}".split()), traceback.format_exc())
        keys = {name: machine.key for name, machine in self._bench.machines.items()}
        return WorkerFacts(os.getpid(), importlib.metadata.version("parefront"), keys)

    def run(self, job: Job) -> Evaluation | Failure:
        """Does a job; where that takes too much memory, its failure is this worker's end."""
        bench = self._bench
        assert bench is not None, "start() comes first"
        facts = {"event": "worker began", "job": job.artefact, "stage": job.stage.value}
        _log.debug("%s: a worker begins the %s stage", job.artefact, job.stage, extra=facts)
        try:
            return self._guarded(lambda: run_job(bench, job))
        except MemoryExceededError as error:
            return Failure(str(error), traceback.format_exc(), is_worker_lost=True)

    def run_told(self, job: Job) -> Told[Evaluation | Failure]:
        """See `run`; with what was logged meanwhile."""
        return listened(lambda: self.run(job))

    def _guarded(self, work: Callable[[], T]) -> T:
        return work() if self._guard is None else self._guard.run(work)
