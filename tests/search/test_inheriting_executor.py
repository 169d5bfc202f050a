from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from parefront.search.executor import Job, Stage
from parefront.search.inheriting_executor import InheritingExecutor
from parefront.search.trial import Fidelity, Trial
from parefront.spaces import Configuration

A, B, C = (Configuration.of({"prune/a": width}) for width in (24, 16, 8))


class Recorder:
    """Keeps what is submitted."""

    n_slots = 3

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.is_closed = False

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def next_done(self) -> Any:
        return self.jobs.pop(0), "outcome"

    def close(self) -> None:
        self.is_closed = True


def test_a_short_fine_tune_hears_of_the_trials_that_had_one(make_trial: Callable[..., Trial]) -> None:
    trials = [
        make_trial(0, {}, drop=0.0),
        make_trial(1, A, drop=1.0),
        make_trial(2, B),  # failed
        make_trial(3, B, drop=2.0, fidelity=Fidelity.CALIBRATED),
        make_trial(4, C, drop=2.0),
    ]
    inner = Recorder()
    executor = InheritingExecutor(inner, SimpleNamespace(trials=trials))  # type: ignore[arg-type]
    executor.submit(Job(7, Stage.SHORT, B, "trial-7"))
    executor.submit(Job(8, Stage.STRUCTURE, B, "trial-8"))
    assert [job.relatives for job in inner.jobs] == [(A, C), ()]
    assert executor.n_slots == 3
    assert executor.next_done()[0].ticket == 7
    executor.close()
    assert inner.is_closed
