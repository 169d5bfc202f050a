"""Writes down which stage of which trial began and ended when."""

from __future__ import annotations

import logging
import time

from ..evaluators import Evaluation
from .ended import describe
from .executor import Executor, Failure, Job, Stage
from .trial import Fidelity, Trial

KEY_LENGTH = 12
"""Hexadecimal digits of a configuration's key that tell it from all others of a run."""
_log = logging.getLogger(__name__)


class LoggedExecutor:
    """Another executor, with what it does in the log."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._began: dict[tuple[int, Stage], float] = {}

    @property
    def n_slots(self) -> int:
        """Those of the other one."""
        return self._executor.n_slots

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        self._began[job.ticket, job.stage] = time.monotonic()
        _log.debug("%s: the %s stage begins", job.artefact, job.stage, extra={"event": "stage began", **_facts(job)})
        self._executor.submit(job)

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        """See `Executor`."""
        job, outcome = self._executor.next_done()
        seconds = round(time.monotonic() - self._began.pop((job.ticket, job.stage), time.monotonic()), 3)
        facts = {**_facts(job), "seconds": seconds}
        if isinstance(outcome, Failure):
            facts |= {"event": "stage failed", "reason": outcome.reason, "trace": outcome.trace}
            _log.debug("%s: the %s stage failed: %s", job.artefact, job.stage, outcome.reason, extra=facts)
        else:
            facts |= {"event": "stage ended"}
            _log.debug("%s: the %s stage took %.1f s", job.artefact, job.stage, seconds, extra=facts)
        return job, outcome

    def close(self) -> None:
        """See `Executor`."""
        self._executor.close()


def log_trial(trial: Trial) -> None:
    """Writes down that a trial is in the record."""
    facts = {
        "event": "trial ended",
        "trial": trial.number,
        "configuration": trial.configuration.key[:KEY_LENGTH],
        "stage": trial.fidelity.value,
        "state": trial.state.value,
        "parent": trial.parent,
        "seconds": round(sum(trial.seconds.values()), 3),
        "reason": trial.reason or None,
    }
    _log.debug("%s", describe(trial), extra=facts)


def log_promotion(parent: Trial, fidelity: Fidelity) -> None:
    """Writes down that a trial gets more training."""
    facts = {
        "event": "promoted",
        "trial": parent.number,
        "configuration": parent.configuration.key[:KEY_LENGTH],
        "stage": fidelity.value,
    }
    _log.debug("#%d gets the %s fine-tune", parent.number, fidelity, extra=facts)


def _facts(job: Job) -> dict[str, object]:
    return {
        "job": job.artefact,
        "configuration": job.configuration.key[:KEY_LENGTH],
        "stage": job.stage.value,
    }
