"""Files between a run's directory and workers on machines that do not have it: they travel with jobs and results."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..evaluators import Evaluation
from ..hardware_profiles.errors import SearchError
from ..hardware_profiles.transport.artefact_upload import is_abandoned
from .executor import Failure, Job, Stage

_PREFIX = "parefront-worker-"
_NEVER_KEPT = (Stage.STRUCTURE, Stage.REPEAT, Stage.ADOPT)
"""Stages whose files hold networks that were not trained: later stages write them anew, or nobody wants them."""
_CHECKPOINT = ".checkpoint"
"""A training's own; it goes on from there when it is tried again here."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came out of a job on another machine.

    Attributes:
        evaluation: Its path is one there.
        files: What the run keeps of it, contents by name.
    """

    evaluation: Evaluation
    files: Mapping[str, bytes]


class WorkerFolder:
    """Stands for the run's directory of files on a machine that does not have it.

    Workers are killed rather than ended, so that the next one on a machine removes what this one leaves.

    Attributes:
        path: Where it is.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Makes it in the system's temporary folder, and removes those of workers that are gone.

        Args:
            files: What every job needs, contents by name.
        """
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            if is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # The kernel drops the lock when this process ends in whatever way; see `is_abandoned`.
        self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._needed = frozenset(files)
        for name, content in files.items():
            (self.path / name).write_bytes(content)

    def received(self, job: Job) -> Job:
        """A job with its paths in this folder, and its files there."""
        for name, content in job.files.items():
            (self.path / name).write_bytes(content)
        structure, trained = job.structure, job.trained
        if structure is not None:
            structure = replace(structure, artefact=self.path / structure.artefact.name)
        if trained is not None:
            trained = self.path / trained.name
        return replace(job, structure=structure, trained=trained, files={})

    def sent(self, job: Job, outcome: Evaluation | Failure) -> Delivery | Failure:
        """An outcome with what the run keeps of its files; the folder is then as before the job."""
        if isinstance(outcome, Failure):
            self._clear()
            return outcome
        is_kept = job.stage not in _NEVER_KEPT
        files = {path.name: path.read_bytes() for path in self._made()} if is_kept else {}
        self._clear()
        return Delivery(outcome, files)

    def _made(self) -> Iterator[Path]:
        for path in sorted(self.path.iterdir()):
            if path.is_file() and path.name not in self._needed and _CHECKPOINT not in path.suffixes:
                yield path

    def _clear(self) -> None:
        for path in self._made():
            path.unlink()


class RunFiles:
    """The run's directory of files, on the side of the search."""

    def __init__(self, artefacts: Path) -> None:
        """Describes it.

        Args:
            artefacts: The directory.
        """
        self._artefacts = artefacts

    def attached(self, job: Job) -> Job:
        """A job with the files that a worker elsewhere would miss."""
        return job if job.trained is None else replace(job, files={job.trained.name: job.trained.read_bytes()})

    def stored(self, result: Evaluation | Failure | Delivery) -> Evaluation | Failure:
        """A result of any worker with its files in the directory, each whole or not there.

        Raises:
            SearchError: They cannot be written.
        """
        if not isinstance(result, Delivery):
            return result
        for name, content in result.files.items():
            self._write(name, content)
        return replace(result.evaluation, artefact=self._artefacts / result.evaluation.artefact.name)

    def _write(self, name: str, content: bytes) -> None:
        # A name and no path: what another machine sends must not reach beyond the directory.
        target = self._artefacts / Path(name).name
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(content)
            partial.replace(target)
        except OSError as error:
            raise SearchError(
                f"files of trials must be written to {self._artefacts}, but {error.strerror or error}: make room "
                "there, and the same command goes on"
            ) from error
