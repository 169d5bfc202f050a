"""What the picture of the front shows: which trials, as what, and what is said about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluators.evaluator import Score
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.objectives import MAX_DROP, Objective
from ..search.trial import State, Trial
from .decisions import describe
from .findings import Findings
from .goal_words import cost_words, costs, further_columns, headline_drop, pick_words, profile_of, scaled, word_gain
from .wording import word_bytes, word_ratio, word_score


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One trial on the picture.

    Attributes:
        number: Of the trial.
        cost: Value and, where measured, interval, as the axis shows it.
        accuracy: %, None where the trial was closed before it had one.
        area: Of the bubble: the second cost; 1 for all where there is none.
        lines: What a reader learns by pointing at it, as plain text.
    """

    number: int
    cost: Score
    accuracy: Score | None
    area: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrontData:
    """What the front's picture shows.

    Attributes:
        members: From accurate to fast; without the baseline and the pick.
        pick: The member that the summary names.
        baseline: None before it is evaluated; then nothing else is shown either.
        others: Trials with an accuracy that are not in the front, or that had less training.
        closed: Trials closed after latency and size.
        envelope: (cost, accuracy in %) from fast to accurate: the best accuracy at that cost or less, where it rises. A
            member off this line is in the front for another objective.
        axis: The objective along the horizontal axis.
        area: The objective that the bubbles show, or None.
        within: Points of accuracy that the pick may lose.
        pick_words: What the pick is: `fastest within 1 pt`.
        max_drop: Points of accuracy below the baseline that are in view.
        reference: %, the accuracy that losses are counted from: the baseline's after all its training, which the one of
            little training that stands beside fronts of little training may be short of.
    """

    members: tuple[FrontPoint, ...] = ()
    pick: FrontPoint | None = None
    baseline: FrontPoint | None = None
    others: tuple[FrontPoint, ...] = ()
    closed: tuple[FrontPoint, ...] = ()
    envelope: tuple[tuple[float, float], ...] = ()
    axis: Objective = DEFAULT_GOALS.objectives.main_cost
    area: Objective | None = None
    within: float = 1.0
    pick_words: str = ""
    max_drop: float = MAX_DROP
    reference: float = 0.0


def front_data(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS, axis: Objective | None = None) -> FrontData:
    """Sorts the trials into what the picture shows; failed ones belong in a table.

    Args:
        trials: Of the run.
        goals: What it was for.
        axis: What accuracy is drawn against; None for the main cost, with the second cost as the area of the bubbles.
    """
    findings = Findings(trials, goals)
    baseline, pick, front = findings.baseline, findings.pick, findings.front
    if baseline is None:
        return FrontData()
    shown = {trial.number for trial in front} | {baseline.number}
    rest = [trial for trial in trials if trial.number not in shown and trial.is_verified is not False]
    rest = [trial for trial in rest if trial.number not in findings.superseded]
    main, *others = costs(goals.objectives)
    x, area = (main, next(iter(others), None)) if axis is None else (axis, None)

    def points(trials: Sequence[Trial]) -> tuple[FrontPoint, ...]:
        return tuple(_point(trial, baseline, goals, x, area) for trial in trials if x.score in trial.scores)

    return FrontData(
        members=points([t for t in front if t is not pick and t is not baseline]),
        pick=next(iter(points([pick] if pick else [])), None),
        baseline=next(iter(points([baseline])), None),
        others=points([t for t in rest if t.state is State.COMPLETE]),
        closed=points([t for t in rest if t.state is State.DOMINATED]),
        envelope=_envelope(front, x),
        axis=x,
        area=area,
        within=headline_drop(goals),
        pick_words=pick_words(goals),
        reference=reference_accuracy(baseline),
        max_drop=next((each.max_drop for each in goals.objectives if each.is_accuracy), MAX_DROP),
    )


def reference_accuracy(baseline: Trial) -> float:
    """The accuracy in % that losses are counted from."""
    lost = baseline.scores.get("accuracy_drop")
    return baseline.value("accuracy") + (0.0 if lost is None else lost.value)


def _point(trial: Trial, baseline: Trial, goals: Goals, axis: Objective, area: Objective | None) -> FrontPoint:
    scores = trial.scores
    speedup = baseline.value("latency_ms") / trial.value("latency_ms")
    size_ratio = baseline.value("size_bytes") / trial.value("size_bytes")
    accuracy = scores.get("accuracy")
    lines = [
        f"#{trial.number} {trial.origin} ({trial.state if accuracy is None else f'{trial.fidelity} fine-tune'})",
        *([f"accuracy {word_score(accuracy, 2)} %"] if accuracy else [trial.reason]),
        f"{word_score(scores['latency_ms'], 3)} ms, {word_ratio(speedup)} faster",
        f"{word_bytes(trial.value('size_bytes'))}, {word_ratio(size_ratio)} smaller",
        *_further_lines(trial, baseline, goals),
        *describe(trial.configuration),
    ]
    shown = tuple(line for line in lines if line)
    bubble = 1.0 if area is None else trial.value(area.score)
    return FrontPoint(trial.number, scaled(scores[axis.score], axis), accuracy, bubble, shown)


def _further_lines(trial: Trial, baseline: Trial, goals: Goals) -> list[str]:
    """What counts in this search beside accuracy, latency and size."""
    return [
        f"{cost_words(axis).word(trial.value(axis.score))}{profile_of(axis)}, "
        f"{word_gain(axis, baseline.value(axis.score) / trial.value(axis.score))}"
        for axis in further_columns(goals)
        if axis.score in trial.scores and axis.score in baseline.scores
    ]


def _envelope(front: Sequence[Trial], axis: Objective) -> tuple[tuple[float, float], ...]:
    corners: list[tuple[float, float]] = []
    for trial in sorted(front, key=lambda trial: (trial.value(axis.score), -trial.value("accuracy"))):
        if not corners or trial.value("accuracy") > corners[-1][1]:
            corners.append((scaled(trial.scores[axis.score], axis).value, trial.value("accuracy")))
    return tuple(corners)
