"""What happens to a search whose device goes away: work that needs none goes on, the rest waits for it to come back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..evaluators import Evaluation
from ..hardware_profiles.errors import SearchError
from .executor import STAGES_WITHOUT_DEVICE, Executor, Failure, Job
from .full_disk import disk_error, is_full

WAITS_S = (30.0, 120.0)
"""Before each new attempt, in s, once nothing else is left to do; the transport tried for some seconds each time."""

_log = logging.getLogger(__name__)


class PatientExecutor:
    """Runs jobs on another executor; a job that only lacked its device is put back instead of failing its candidate."""

    def __init__(
        self, executor: Executor, sleep: Callable[[float], None] = time.sleep, folder: Path | None = None
    ) -> None:
        """Wraps an executor.

        Args:
            executor: Runs the jobs.
            sleep: Waits so many seconds.
            folder: Where files are written: a disk that is full is no candidate's fault either.
        """
        self._executor, self._sleep, self._folder = executor, sleep, folder
        self._put_back: list[Job] = []
        self._reason = ""
        self._n_running = self._n_waits = 0

    @property
    def n_slots(self) -> int:
        """See `Executor`."""
        return self._executor.n_slots

    def submit(self, job: Job) -> None:
        """See `Executor`. While the device is away, what needs it is not even tried."""
        if self._put_back and job.stage not in STAGES_WITHOUT_DEVICE:
            self._put_back.append(job)
        else:
            self._n_running += 1
            self._executor.submit(job)

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        """Waits for any job to end, and for the device where that is all there is to do.

        Raises:
            SearchError: The device stayed away, or the disk is full.
        """
        while True:
            if self._n_running == 0:
                self._wait_for_device()
            job, outcome = self._executor.next_done()
            self._n_running -= 1
            if isinstance(outcome, Failure):
                self._check_disk(outcome)
            if isinstance(outcome, Failure) and outcome.is_device_lost:
                self._reason = outcome.reason
                self._put_back.append(job)
                continue
            if job.stage not in STAGES_WITHOUT_DEVICE:
                self._note_answer()
            return job, outcome

    def close(self) -> None:
        """See `Executor`."""
        self._executor.close()

    def _note_answer(self) -> None:
        if self._n_waits:
            _log.info("the device is back", extra={"event": "device back"})
        self._n_waits = 0

    def _check_disk(self, failure: Failure) -> None:
        if self._folder is not None and (failure.is_disk_full or is_full(self._folder)):
            raise disk_error(self._folder, failure.reason)

    def _wait_for_device(self) -> None:
        if self._n_waits == len(WAITS_S):
            raise SearchError(
                f"{self._reason}; every ended trial is kept, and the same command goes on when the device is back"
            )
        wait_s = WAITS_S[self._n_waits]
        self._n_waits += 1
        facts = {"event": "device lost", "reason": self._reason}
        _log.warning("%s; trying again in %g s", self._reason, wait_s, extra=facts)
        self._sleep(wait_s)
        again, self._put_back = self._put_back, []
        for job in again:
            self.submit(job)
