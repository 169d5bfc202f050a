"""The last phase of a search: members of the front get the full fine-tune, as many as asked for, within the time."""

from __future__ import annotations

from .aimed_promotion import next_aimed_promotion
from .course import Course
from .ended import as_trial
from .executor import Executor, Failure, Job, Stage
from .front import complete
from .promotion import next_promotion, promoted
from .proposal import Proposal
from .rungs import AIMED
from .status import FINAL_MEMBERS
from .trial import Fidelity, State, Trial


def finish(course: Course, executor: Executor) -> str:
    """Promotes members of the front one by one, each chosen in the light of the ones before.

    Returns:
        What was cut and why, in words; empty where nothing was.
    """
    n_full = course.rungs.n_full
    course.budget.note_begin()
    while (n_done := course.budget.tally.n_full) < n_full:
        parent = _next_final(course)
        if parent is None:
            return ""
        if exceeded := course.budget.end_of_finals():
            return f"{n_full - n_done} of {n_full} final members by {exceeded}"
        course.add(_final(course, executor, parent))
        course.report(FINAL_MEMBERS, n_done + 1, n_full, is_searching=False)
    return ""


def _next_final(course: Course) -> Trial | None:
    if course.rungs.rule == AIMED:
        return next_aimed_promotion(course.trials, course.goals)
    taken = promoted(course.trials, Fidelity.FULL)
    short = complete(course.trials, Fidelity.SHORT)
    return next_promotion(short, taken, 0, course.rungs.n_full + len(taken) - course.budget.tally.n_full, course.goals)


def _final(course: Course, executor: Executor, parent: Trial) -> Trial:
    executor.submit(Job(parent.number, Stage.FULL, parent.configuration, f"final-{parent.number}"))
    _, outcome = executor.next_done()
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
