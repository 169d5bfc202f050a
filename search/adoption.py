"""The first phase of a search that begins from an earlier run: its trials come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..evaluators import Evaluation
from ..evaluators.evaluator import Score
from .clock import ENDED
from .course import Course
from .drop_forecasts import FORETOLD
from .ended import as_trial
from .executor import Executor, Failure, Job, Stage
from .gain_cut import PROMISED
from .proposal import PARENTS, Proposal
from .reuse import Reuse, file_name
from .screening import PREDICTED
from .side_by_side import run_side_by_side
from .status import EARLIER
from .trial import FROM, REMEASURED, Fidelity, State, Trial


def adopt(reuse: Reuse, course: Course, executor: Executor, suffix: str = ".onnx") -> str:
    """Records the earlier run's trials that are not in the record yet; measures their structures where it must.

    Args:
        reuse: What is taken.
        course: The search.
        executor: Measures, on all slots.
        suffix: Of the files that the main runtime loads.

    Returns:
        What was cut and why, in words; empty where nothing was.
    """
    if not reuse.has_accuracy:
        return ""
    adoption = _Adoption(reuse, course, suffix)
    course.budget.note_begin()
    if reuse.has_latency:
        adoption.take_all()
    else:
        run_side_by_side(executor, adoption.next_job, adoption.take)
    return adoption.cut


class _Adoption:
    """What is taken next, and what became of it.

    Attributes:
        cut: What there was no time for, in words; empty where there was nothing.
    """

    def __init__(self, reuse: Reuse, course: Course, suffix: str) -> None:
        self.cut = ""
        self._reuse, self._course, self._suffix = reuse, course, suffix
        done = {trial.details[FROM]["number"] for trial in course.trials if trial.is_reused}
        self._left = deque(trial for trial in reuse.trials if trial.number not in done)
        self._measured: dict[int, Trial] = {}
        self._n_done = len(done)

    def take_all(self) -> None:
        """Records all as they were."""
        while self._left:
            self._add(self._bare(self._left.popleft()))

    def next_job(self, under_way: Sequence[Job]) -> Job | None:
        """The measurement of one more trial; its ticket is the number that the trial had."""
        if not self._left or self.cut:
            return None
        if exceeded := self._course.budget.end_of_repeats(len(under_way)):
            self.cut = f"{len(self._left)} trials of {self._reuse.source} by {exceeded}"
            return None
        old = self._left.popleft()
        self._measured[old.number] = old
        name = f"adopted-{old.number}"
        return Job(old.number, Stage.ADOPT, old.configuration, name, trained=self._file(self._bare(old)))

    def take(self, job: Job, outcome: Evaluation | Failure) -> None:
        """Records a trial that was measured."""
        trial = self._bare(self._measured.pop(job.ticket))
        self._add(_measured(self._reuse, self._course, trial, outcome))

    def _bare(self, old: Trial) -> Trial:
        return _bare(self._reuse, self._course, old, self._suffix)

    def _file(self, trial: Trial) -> Path | None:
        """Of the trained network, where there is one."""
        file = self._course.record.directory.artefacts / trial.artefact if trial.artefact else None
        return file if file is not None and file.is_file() else None

    def _add(self, trial: Trial) -> None:
        self._course.add(trial)
        self._n_done += 1
        self._course.report(EARLIER, self._n_done, len(self._reuse.trials), is_searching=True)


def _bare(reuse: Reuse, course: Course, old: Trial, suffix: str) -> Trial:
    """An earlier trial under its new number; its time was not spent here, its ancestors are not in this record."""
    left = (REMEASURED, ENDED, PREDICTED, FORETOLD, PROMISED, "sampler")
    facts = {name: fact for name, fact in old.details.items() if name not in left}
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


def _measured(reuse: Reuse, course: Course, trial: Trial, outcome: Evaluation | Failure) -> Trial:
    """The same with its structure measured here; it is not trained again.

    Its accuracy is that of its file in this run's runtime; that of the earlier run where there is no file to load.
    """
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
