"""Keeps every slot of an executor at work, where what comes next is decided as a slot becomes free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..evaluators import Evaluation
from .executor import Executor, Failure, Job


def run_side_by_side(
    executor: Executor,
    next_job: Callable[[Sequence[Job]], Job | None],
    take: Callable[[Job, Evaluation | Failure], None],
) -> None:
    """Runs jobs until there are no more; with one slot, one after the other.

    Args:
        executor: Runs them.
        next_job: Given those under way, in the order in which they began; None where none is to be begun now.
        take: Given what ended, before anything else is begun.
    """
    under_way: dict[int, Job] = {}
    while True:
        while len(under_way) < executor.n_slots and (job := next_job(list(under_way.values()))) is not None:
            under_way[job.ticket] = job
            executor.submit(job)
        if not under_way:
            return
        ended, outcome = executor.next_done()
        del under_way[ended.ticket]
        take(ended, outcome)
