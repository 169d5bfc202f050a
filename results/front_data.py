"""What the picture of the front shows: which trials, as what, and what is said about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluators.evaluator import Score
from ..search.trial import State, Trial
from .decisions import describe
from .summary import find_baseline, find_pick, reported_front
from .wording import word_bytes, word_ratio, word_score


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One trial on the picture.

    Attributes:
        number: Of the trial.
        latency_ms: Value and, where measured, interval.
        accuracy: %, None where the trial was closed before it had one.
        size_bytes: Area of the bubble.
        lines: What a reader learns by pointing at it, as plain text.
    """

    number: int
    latency_ms: Score
    accuracy: Score | None
    size_bytes: float
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
        envelope: (latency in ms, accuracy in %) from fast to accurate: the best accuracy at that latency or faster,
            where it rises. A member off this line is in the front for its size.
    """

    members: tuple[FrontPoint, ...] = ()
    pick: FrontPoint | None = None
    baseline: FrontPoint | None = None
    others: tuple[FrontPoint, ...] = ()
    closed: tuple[FrontPoint, ...] = ()
    envelope: tuple[tuple[float, float], ...] = ()


def front_data(trials: Sequence[Trial]) -> FrontData:
    """Sorts the trials into what the picture shows; failed ones belong in a table."""
    baseline, pick, front = find_baseline(trials), find_pick(trials), reported_front(trials)
    if baseline is None:
        return FrontData()
    shown = {trial.number for trial in front} | {baseline.number}
    rest = [trial for trial in trials if trial.number not in shown and trial.is_verified is not False]
    return FrontData(
        members=tuple(_point(t, baseline) for t in front if t is not pick and t is not baseline),
        pick=_point(pick, baseline) if pick else None,
        baseline=_point(baseline, baseline),
        others=tuple(_point(t, baseline) for t in rest if t.state is State.COMPLETE),
        closed=tuple(_point(t, baseline) for t in rest if t.state is State.DOMINATED),
        envelope=_envelope(front),
    )


def _point(trial: Trial, baseline: Trial) -> FrontPoint:
    scores = trial.scores
    speedup = baseline.value("latency_ms") / trial.value("latency_ms")
    size_ratio = baseline.value("size_bytes") / trial.value("size_bytes")
    accuracy = scores.get("accuracy")
    lines = [
        f"#{trial.number} {trial.origin} ({trial.state if accuracy is None else f'{trial.fidelity} fine-tune'})",
        *([f"accuracy {word_score(accuracy, 2)} %"] if accuracy else [trial.reason]),
        f"{word_score(scores['latency_ms'], 3)} ms, {word_ratio(speedup)} faster",
        f"{word_bytes(trial.value('size_bytes'))}, {word_ratio(size_ratio)} smaller",
        *describe(trial.configuration),
    ]
    shown = tuple(line for line in lines if line)
    return FrontPoint(trial.number, scores["latency_ms"], accuracy, trial.value("size_bytes"), shown)


def _envelope(front: Sequence[Trial]) -> tuple[tuple[float, float], ...]:
    corners: list[tuple[float, float]] = []
    for trial in sorted(front, key=lambda trial: (trial.value("latency_ms"), -trial.value("accuracy"))):
        if not corners or trial.value("accuracy") > corners[-1][1]:
            corners.append((trial.value("latency_ms"), trial.value("accuracy")))
    return tuple(corners)
