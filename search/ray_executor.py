"""Runs jobs in worker processes on Ray; a worker that dies or hangs costs a retry or a trial, never the search."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..evaluators import Evaluation, Workbench
from ..hardware_profiles.errors import SearchError
from .cluster_worker import ClusterOrder, ClusterWorker
from .deliveries import RunFiles
from .executor import Failure, Job, Stage
from .ray_errors import what_happened
from .worker import Worker, WorkerFacts
from .worker_log import Told

MAX_RETRIES = 2
"""Of one stage of one trial whose worker died. Counted here: a configuration that kills its worker must not loop."""
MAX_FAILED_STARTS = 3
"""When so many workers in a row died before they were ready, the fault is not in the candidates."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """A place for one worker: starting while it waits for something that is no job, idle while it waits for nothing."""

    # Ray has no types for what it makes of a class, nor for what such an actor's methods promise.
    actor: Any
    awaited: Any
    job: Job | None = None
    began_s: float = 0.0


class RayExecutor:
    """One job at a time on each of several Ray actors; Ray is initialised already, see `ray_cluster`."""

    def __init__(
        self,
        open_bench: Callable[[], Workbench] | ClusterOrder,
        n_workers: int,
        actor_options: Mapping[str, Any],
        *,
        max_job_s: float | None = None,
        check: Callable[[WorkerFacts], None] = lambda facts: None,
        worker_class: type[Worker] | type[ClusterWorker] = Worker,
        files: RunFiles | None = None,
        max_memory_bytes: int | None = None,
    ) -> None:
        """Starts the workers without waiting for them.

        Args:
            open_bench: Opens a worker's workbench, in its process.
            n_workers: How many.
            actor_options: Of each actor: its cores, resources and environment.
            max_job_s: A job that takes longer fails, in s.
            check: Called with what each worker tells of itself; raises where it cannot be used.
            worker_class: What each actor is made of, by `open_bench`.
            files: Of the run, where workers may be on machines that do not have them.
            max_memory_bytes: What each worker may take; None where nothing watches it.
        """
        self._worker_class, self._files = worker_class, files
        self._open_bench, self._actor_options = open_bench, dict(actor_options)
        self._max_job_s, self._check, self._max_memory_bytes = max_job_s, check, max_memory_bytes
        self._queue: deque[Job] = deque()
        self._ended: deque[tuple[Job, Evaluation | Failure]] = deque()
        self._deaths: Counter[tuple[int, Stage]] = Counter()
        self._n_failed_starts = 0
        self._slots = [self._start() for _ in range(n_workers)]

    @property
    def n_slots(self) -> int:
        """One for each worker."""
        return len(self._slots)

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        self._queue.append(job)
        self._hand_out()

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        """Waits for any submitted job to end.

        Raises:
            SearchError: Workers cannot be started, or Ray itself has ended.
        """
        import ray

        while not self._ended:
            self._hand_out()
            slots = {slot.awaited: slot for slot in self._slots if slot.awaited is not None}
            try:
                ready, _ = ray.wait(list(slots), num_returns=1, timeout=self._left_s())
            except ray.exceptions.RayError as error:
                raise SearchError(
                    f"Ray must stay alive, but {what_happened(error)}: start the same command again"
                ) from error
            for awaited in ready:
                self._take(slots[awaited])
            self._end_overdue()
        return self._ended.popleft()

    def close(self) -> None:
        """Ends all workers; what they were at is lost."""
        import ray

        for slot in self._slots:
            ray.kill(slot.actor)

    def _start(self) -> _Slot:
        import ray

        # No restart and no retry by Ray: it would neither count nor tell them.
        options = {**self._actor_options, "max_restarts": 0, "max_task_retries": 0}
        remote_worker: Any = ray.remote(self._worker_class)
        actor = remote_worker.options(**options).remote(self._open_bench, self._max_memory_bytes)
        return _Slot(actor, actor.start.remote())

    def _replace(self, slot: _Slot) -> None:
        import ray

        ray.kill(slot.actor)
        fresh = self._start()
        slot.actor, slot.awaited, slot.job = fresh.actor, fresh.awaited, None

    def _hand_out(self) -> None:
        for slot in self._slots:
            if self._queue and slot.awaited is None:
                slot.job, slot.began_s = self._queue.popleft(), time.monotonic()
                slot.awaited = slot.actor.run_told.remote(
                    slot.job if self._files is None else self._files.attached(slot.job)
                )

    def _take(self, slot: _Slot) -> None:
        """Takes what a slot's worker gave, or the news of its death."""
        import ray

        try:
            result: Any = ray.get(slot.awaited)
            if isinstance(result, Told):
                result = result.repeated()
        except ray.exceptions.RayTaskError as error:
            # `Worker` catches what candidates raise: this is a result that cannot travel, or code that is not there.
            result = Failure(what_happened(error), str(error))
        except ray.exceptions.RayError as error:
            self._bury(slot, what_happened(error))
            return
        if isinstance(result, Failure) and result.is_worker_lost:
            self._bury(slot, result.reason)
            return
        job, slot.job, slot.awaited = slot.job, None, None
        if job is not None:
            self._end(job, result if self._files is None else self._files.stored(result))
        elif isinstance(result, Failure):
            raise SearchError(f"a worker must be able to load the task and the baseline, but got {result.reason}")
        else:
            self._check(result)
            self._n_failed_starts = 0

    def _bury(self, slot: _Slot, reason: str) -> None:
        """Puts a new worker into the slot of a dead one, and its job back or aside."""
        job = slot.job
        if job is None:
            self._n_failed_starts += 1
            if self._n_failed_starts == MAX_FAILED_STARTS:
                raise SearchError(f"workers must start, but {MAX_FAILED_STARTS} in a row died before that: {reason}")
        else:
            self._deaths[job.ticket, job.stage] += 1
            n_deaths = self._deaths[job.ticket, job.stage]
            facts = {"event": "worker died", "job": job.artefact, "stage": job.stage.value, "reason": reason}
            died = "a worker died in the %s stage of %s (%d): %s"
            _log.warning(died, job.stage, job.artefact, n_deaths, reason, extra=facts)
            if n_deaths > MAX_RETRIES:
                self._end(job, Failure(f"the worker died {n_deaths} times in the {job.stage} stage: {reason}", ""))
            else:
                self._queue.appendleft(job)
        self._replace(slot)

    def _end(self, job: Job, outcome: Evaluation | Failure) -> None:
        del self._deaths[job.ticket, job.stage]
        self._ended.append((job, outcome))

    def _left_s(self) -> float | None:
        """Until the first running job is overdue, in s; None where none can be."""
        if self._max_job_s is None:
            return None
        began = [slot.began_s for slot in self._slots if slot.job is not None]
        return max(0.0, min(began) + self._max_job_s - time.monotonic()) if began else None

    def _end_overdue(self) -> None:
        """Ends the workers of jobs that take too long: only the end of its process surely stops a job."""
        import ray

        for slot in self._slots:
            if self._max_job_s is None or slot.job is None or time.monotonic() - slot.began_s < self._max_job_s:
                continue
            if ray.wait([slot.awaited], timeout=0)[0]:
                continue  # It has just ended, and is taken next.
            reason = f"the {slot.job.stage} stage took longer than the limit of {self._max_job_s:g} s"
            self._end(slot.job, Failure(reason, ""))
            self._replace(slot)
