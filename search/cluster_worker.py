"""A worker on any node of a cluster, whether or not the run's directory is to be found there."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..evaluators import Evaluation, Inheritance, Workbench
from ..hardware_profiles.errors import SearchError
from ..tasks import baseline_file, keep_baseline_file
from .deliveries import Delivery, WorkerFolder
from .executor import Failure, Job
from .reuse import MEMORY
from .worker import Worker, WorkerFacts
from .worker_log import Told, listened
from .workers import BenchOrder


@dataclass(frozen=True, slots=True)
class Baggage:
    """What a worker needs of the run where it cannot read the run's directory.

    Attributes:
        files: Of that directory, contents by name: the baseline's results, and the references of all measurements.
        baseline: Name and content of the trained baseline's file in the cache; None where it is no work of ours.
    """

    files: Mapping[str, bytes]
    baseline: tuple[str, bytes] | None

    @classmethod
    def of(cls, workbench: Workbench, artefacts: Path) -> Baggage:
        """Packs it after the baseline's evaluation.

        Args:
            workbench: The search's own.
            artefacts: The run's directory of files.
        """
        paths = [artefacts / MEMORY, *artefacts.glob("reference-*")]
        baseline = baseline_file(workbench.task, workbench.data.train)
        return cls(
            {path.name: path.read_bytes() for path in paths},
            None if baseline is None else (baseline.name, baseline.read_bytes()),
        )


@dataclass(frozen=True, slots=True)
class ClusterOrder:
    """A workbench to open on any node.

    Attributes:
        bench: As it is opened where the run's directory is.
        memory_digest: SHA-256 of the baseline's results: where that file is found, the directory is.
        fetch: Gives what is needed elsewhere.
    """

    bench: BenchOrder
    memory_digest: str
    fetch: Callable[[], Baggage]

    @classmethod
    def of(cls, bench: BenchOrder, fetch: Callable[[], Baggage]) -> ClusterOrder:
        """The order for workers of this run, once its baseline is evaluated."""
        return cls(bench, _digest(bench.artefacts / MEMORY), fetch)

    @property
    def is_here(self) -> bool:
        """Whether this process reads the run's directory."""
        memory = self.bench.artefacts / MEMORY
        return memory.is_file() and _digest(memory) == self.memory_digest


class ClusterWorker:
    """A `Worker` that works in a folder of its own where the run's directory is not."""

    def __init__(self, order: ClusterOrder, max_memory_bytes: int | None = None) -> None:
        """Does nothing yet, so that whatever goes wrong in `start` can be told."""
        self._order, self._worker = order, Worker(self._open, max_memory_bytes)
        self._folder: WorkerFolder | None = None

    def start(self) -> WorkerFacts | Failure:
        """See `Worker.start`."""
        return self._worker.start()

    def run(self, job: Job) -> Evaluation | Failure | Delivery:
        """See `Worker.run`."""
        if self._folder is None:
            return self._worker.run(job)
        return self._folder.sent(job, self._worker.run(self._folder.received(job)))

    def run_told(self, job: Job) -> Told[Evaluation | Failure | Delivery]:
        """See `Worker.run_told`."""
        return listened(lambda: self.run(job))

    def _open(self) -> Workbench:
        bench = self._order.bench
        if self._order.is_here:
            return bench()
        if bench.inheritance is not Inheritance.NONE:
            raise SearchError(
                "fine-tunes that start from other trials must find those in a run directory that all workers share, "
                f"but {socket.gethostname()} has none at {bench.artefacts}: choose an --out that it shares, or search "
                "without --inherit"
            )
        baggage = self._order.fetch()
        if baggage.baseline is not None:
            keep_baseline_file(*baggage.baseline)
        self._folder = WorkerFolder(baggage.files)
        # A task of ours needs no working directory, and one in a file tells that it is not there.
        directory = bench.working_directory if bench.working_directory.is_dir() else Path.cwd()
        return replace(bench, artefacts=self._folder.path, working_directory=directory)()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
