"""Where evaluations run. The engine submits jobs and takes what comes back, in whatever order."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ..evaluators import Evaluation, Workbench
from ..hardware_profiles.errors import DeviceLostError
from ..spaces import Configuration
from .full_disk import is_disk_error


class Stage(StrEnum):
    """What a job does."""

    STRUCTURE = "structure"
    CALIBRATED = "calibrated"
    SHORT = "short"
    FULL = "full"
    REPEAT = "repeat"
    ADOPT = "adopt"


STAGES_WITHOUT_DEVICE = (Stage.CALIBRATED, Stage.SHORT)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work on one configuration.

    Attributes:
        ticket: Chosen by the engine, to know the job again.
        stage: What to do.
        configuration: On what.
        artefact: Its name, without a suffix, inside the run's artefact directory.
        structure: What the structure stage found, for the calibrated and the short stage.
        trained: File of the trained network, for what is adopted from an earlier run; None where there is none.
        relatives: Configurations that had the short fine-tune, in that order, whose weights a short one may start from.
        files: Contents by name of what a worker elsewhere would not find; see `deliveries`.
    """

    ticket: int
    stage: Stage
    configuration: Configuration
    artefact: str
    structure: Evaluation | None = None
    trained: Path | None = None
    relatives: tuple[Configuration, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no result.

    Attributes:
        reason: One line for the record.
        trace: Where it happened, for the log.
        is_device_lost: Whether the candidate is not at fault: the device that measures could not be reached.
        is_worker_lost: Whether the process that did it cannot go on.
        is_disk_full: Whether the candidate is not at fault: a disk took nothing any more.
    """

    reason: str
    trace: str
    is_device_lost: bool = False
    is_worker_lost: bool = False
    is_disk_full: bool = False


class Executor(Protocol):
    """Runs jobs, one or many at a time."""

    @property
    def n_slots(self) -> int:
        """Jobs that can run at the same time."""
        ...

    def submit(self, job: Job) -> None:
        """Takes a job; returns at once."""
        ...

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        """Waits for any submitted job to end."""
        ...

    def close(self) -> None:
        """Ends everything that runs."""
        ...


class InProcessExecutor:
    """Runs one job at a time in this process, when its result is asked for."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._queue: deque[Job] = deque()

    @property
    def n_slots(self) -> int:
        """One."""
        return 1

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        self._queue.append(job)

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        """See `Executor`."""
        job = self._queue.popleft()
        return job, run_job(self._workbench, job)

    def close(self) -> None:
        """Ends the measuring process."""
        self._workbench.close()


def run_job(workbench: Workbench, job: Job) -> Evaluation | Failure:
    """Does a job; whatever goes wrong in it is a failure of this one candidate."""
    try:
        if job.stage is Stage.STRUCTURE:
            return workbench.structure(job.configuration, job.artefact)
        if job.stage is Stage.REPEAT:
            return workbench.repeat(job.configuration, job.artefact)
        if job.stage is Stage.ADOPT:
            return workbench.adopt(job.configuration, job.artefact, job.trained)
        if job.stage in STAGES_WITHOUT_DEVICE:
            assert job.structure is not None, f"the {job.stage} stage follows the structure stage"
            if job.stage is Stage.CALIBRATED:
                return workbench.calibrated(job.configuration, job.structure)
            return workbench.short(job.configuration, job.structure, job.relatives)
        return workbench.full(job.configuration, job.artefact)
    except DeviceLostError as error:
        return Failure(str(error), traceback.format_exc(), is_device_lost=True)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Failure(reason[:500], traceback.format_exc(), is_disk_full=is_disk_error(error))
