"""Lets short fine-tunes start from the weights of trials that had one."""

from __future__ import annotations

from dataclasses import replace

from ..evaluators import Evaluation
from .executor import Executor, Failure, Job, Stage
from .record import Record
from .trial import Fidelity, State


class InheritingExecutor:
    """Another executor, told with every short fine-tune whose weights there are."""

    def __init__(self, executor: Executor, record: Record) -> None:
        self._executor, self._record = executor, record

    @property
    def n_slots(self) -> int:
        """Those of the other one."""
        return self._executor.n_slots

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        if job.stage is Stage.SHORT:
            ended = (t for t in self._record.trials if t.fidelity is Fidelity.SHORT and t.state is State.COMPLETE)
            job = replace(job, relatives=tuple(t.configuration for t in ended if t.configuration))
        self._executor.submit(job)

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        """See `Executor`."""
        return self._executor.next_done()

    def close(self) -> None:
        """See `Executor`."""
        self._executor.close()
