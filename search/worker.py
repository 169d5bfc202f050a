"""What runs in the process of one worker."""

from __future__ import annotations

import importlib.metadata
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..evaluators import Evaluation, Workbench
from .executor import Failure, Job, run_job


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

    def __init__(self, open_bench: Callable[[], Workbench]) -> None:
        """Does nothing yet, so that whatever goes wrong in `start` can be told.

        Args:
            open_bench: Opens the workbench.
        """
        self._open_bench = open_bench
        self._bench: Workbench | None = None

    def start(self) -> WorkerFacts | Failure:
        """Opens the workbench: the baseline, the data and the calibration stay loaded from here on."""
        try:
            self._bench = self._open_bench()
        except Exception as error:
            return Failure(" ".join(f"{type(error).__name__}: {error}".split()), traceback.format_exc())
        keys = {name: machine.key for name, machine in self._bench.machines.items()}
        return WorkerFacts(os.getpid(), importlib.metadata.version("parefront"), keys)

    def run(self, job: Job) -> Evaluation | Failure:
        """Does a job."""
        assert self._bench is not None, "start() comes first"
        return run_job(self._bench, job)
