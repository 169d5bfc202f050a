"""The last phase of a search: members of the front get the full fine-tune, as many as asked for, within the time."""

from __future__ import annotations

from collections.abc import Sequence

from ..evaluators import Evaluation
from .aimed_promotion import next_aimed_promotion
from .course import Course
from .ended import as_trial
from .executor import Executor, Failure, Job, Stage
from .front import complete
from .logged_executor import log_promotion
from .promotion import next_promotion, promoted
from .proposal import Proposal
from .rungs import AIMED
from .side_by_side import run_side_by_side
from .status import FINAL_MEMBERS
from .trial import Fidelity, State, Trial


def finish(course: Course, executor: Executor) -> str:
    """Promotes members of the front, on all slots; each is chosen in the light of those that ended before.

    Returns:
        What was cut and why, in words; empty where nothing was.
    """
    finals = _Finals(course)
    course.budget.note_begin()
    run_side_by_side(executor, finals.next_job, finals.take)
    return finals.cut


class _Finals:
    """What is promoted next, and what became of it.

    Attributes:
        cut: What there was no time for, in words; empty where there was nothing.
    """

    def __init__(self, course: Course) -> None:
        self.cut = ""
        self._course = course
        self._began_s: dict[int, float] = {}

    def next_job(self, under_way: Sequence[Job]) -> Job | None:
        """The promotion of one more member; its ticket is the member's number."""
        course, n_full = self._course, self._course.rungs.n_full
        n_left = n_full - course.budget.tally.n_full - len(under_way)
        if self.cut or n_left <= 0:
            return None
        parent = _next_final(course, [course.trials[job.ticket] for job in under_way])
        if parent is None:
            return None
        if exceeded := course.budget.end_of_finals(len(under_way)):
            self.cut = f"{n_left} of {n_full} final members by {exceeded}"
            return None
        log_promotion(parent, Fidelity.FULL)
        self._began_s[parent.number] = course.budget.wall_s()
        return Job(parent.number, Stage.FULL, parent.configuration, f"final-{parent.number}")

    def take(self, job: Job, outcome: Evaluation | Failure) -> None:
        """Records a member; one that was killed before that is promoted again when the search goes on."""
        course = self._course
        course.add(_as_final(course, course.trials[job.ticket], outcome), self._began_s.pop(job.ticket))
        course.report(FINAL_MEMBERS, course.budget.tally.n_full, course.rungs.n_full, is_searching=False)


def _next_final(course: Course, under_way: Sequence[Trial]) -> Trial | None:
    if course.rungs.rule == AIMED:
        return next_aimed_promotion(course.trials, course.goals, under_way)
    before = promoted(course.trials, Fidelity.FULL)
    short = complete(course.trials, Fidelity.SHORT)
    n_places = course.rungs.n_full + len(before) - course.budget.tally.n_full
    return next_promotion(short, [*before, *under_way], 0, n_places, course.goals)


def _as_final(course: Course, parent: Trial, outcome: Evaluation | Failure) -> Trial:
    number, proposal = len(course.trials), Proposal(parent.configuration, f"promoted #{parent.number}")

    def ended(state: State, reason: str) -> Trial:
        result = None if isinstance(outcome, Failure) else outcome
        return as_trial(number, proposal, state, Fidelity.FULL, result, parent=parent.number, reason=reason)

    if isinstance(outcome, Failure):
        return ended(State.FAILED, outcome.reason)
    if missing := course.goals.missing_from(outcome.scores):
        return ended(State.FAILED, f"{', '.join(missing)} was not measured")
    # A member that fails parity stays visible with its reason; fronts leave it out.
    return ended(State.COMPLETE, outcome.reason)
