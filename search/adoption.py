"""The first phase of a search that begins from an earlier run: its trials come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..evaluators.evaluator import Score
from .clock import ENDED
from .course import Course
from .ended import as_trial
from .executor import Executor, Failure, Job, Stage
from .proposal import PARENTS, Proposal
from .reuse import Reuse, file_name
from .screening import PREDICTED
from .status import EARLIER
from .trial import FROM, REMEASURED, Fidelity, State, Trial


def adopt(reuse: Reuse, course: Course, executor: Executor, suffix: str = ".onnx") -> str:
    """Records the earlier run's trials that are not in the record yet; measures their structures where it must.

    Args:
        reuse: What is taken.
        course: The search.
        executor: Measures.
        suffix: Of the files that the main runtime loads.

    Returns:
        What was cut and why, in words; empty where nothing was.
    """
    if not reuse.has_accuracy:
        return ""
    done = {trial.details[FROM]["number"] for trial in course.trials if trial.is_reused}
    left = [trial for trial in reuse.trials if trial.number not in done]
    course.budget.note_begin()
    for position, old in enumerate(left):
        if not reuse.has_latency and (exceeded := course.budget.end_of_repeats()):
            return f"{len(left) - position} trials of {reuse.source} by {exceeded}"
        trial = _bare(reuse, course, old, suffix)
        course.add(trial if reuse.has_latency else _measured(reuse, course, executor, trial))
        course.report(EARLIER, len(done) + position + 1, len(reuse.trials), is_searching=True)
    return ""


def _bare(reuse: Reuse, course: Course, old: Trial, suffix: str) -> Trial:
    """An earlier trial under its new number; its time was not spent here, its ancestors are not in this record."""
    facts = {name: fact for name, fact in old.details.items() if name not in (REMEASURED, ENDED, PREDICTED, "sampler")}
    parents = [
        trial.number
        for trial in course.trials
        if old.fidelity is Fidelity.FULL and trial.fidelity is Fidelity.SHORT
        if trial.configuration == old.configuration
    ]
    name = file_name(old, suffix)
    has_file = old.artefact is not None and (course.record.directory.artefacts / name).is_file()
    # A promotion writes the file of what was not trained, so that it needs no more than the name.
    is_named = has_file or (old.fidelity is Fidelity.CALIBRATED and old.state is State.COMPLETE)
    return replace(
        old,
        number=len(course.trials),
        origin=f"from {reuse.source} #{old.number} ({old.origin})",
        parent=parents[-1] if parents else None,
        reason=f"in {reuse.source}: {old.reason}" if old.reason else "",
        seconds={},
        artefact=name if is_named else None,
        details={**facts, PARENTS: [], FROM: {"run": reuse.source, "number": old.number}},
    )


def _measured(reuse: Reuse, course: Course, executor: Executor, trial: Trial) -> Trial:
    """The same with its structure measured here; it is not trained again.

    Its accuracy is that of its file in this run's runtime; that of the earlier run where there is no file to load.
    """
    artefacts = course.record.directory.artefacts
    trained = artefacts / trial.artefact if trial.artefact and (artefacts / trial.artefact).is_file() else None
    number = trial.details[FROM]["number"]
    executor.submit(Job(trial.number, Stage.ADOPT, trial.configuration, f"adopted-{number}", trained=trained))
    _, outcome = executor.next_done()
    details = {name: trial.details[name] for name in (PARENTS, FROM)}
    proposal = Proposal(trial.configuration, trial.origin, details)
    if isinstance(outcome, Failure):
        return as_trial(trial.number, proposal, State.FAILED, trial.fidelity, None, reason=outcome.reason)
    state, reason = State.COMPLETE, ""
    lows = {name: score.value if score.low is None else score.low for name, score in outcome.scores.items()}
    missing = [f"{name} was not measured" for name in course.goals.missing_from(outcome.scores)]
    if failed := outcome.reason or ", ".join(missing):
        state, reason = State.FAILED, failed
    elif broken := outcome.broken_limit or course.goals.broken_by(lows):
        state, reason = State.DOMINATED, broken
    scores = {**_accuracy(reuse, course, trial), **outcome.scores}
    ended = as_trial(trial.number, proposal, state, trial.fidelity, replace(outcome, scores=scores), reason=reason)
    return replace(ended, artefact=trial.artefact if state is State.COMPLETE else None)


def _accuracy(reuse: Reuse, course: Course, trial: Trial) -> Mapping[str, Score]:
    """The earlier run's accuracy, and its drop against this run's baseline."""
    drop = trial.scores["accuracy_drop"]
    by = max(each.value("accuracy") for each in course.trials[:2]) - reuse.best_accuracy
    low, high = (None if end is None else end + by for end in (drop.low, drop.high))
    return {
        "accuracy": trial.scores["accuracy"],
        "accuracy_drop": replace(drop, value=drop.value + by, low=low, high=high),
    }
