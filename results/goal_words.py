"""How objectives are worded for people: `3.1x faster`, `the fewest MACs`, `latency (ms)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..evaluators.evaluator import Score
from ..search.goals import Goals
from ..search.objectives import Objective, Objectives
from ..search.status import COMMON_DROP
from ..search.trial import Trial
from .wording import word_bytes, word_ratio


@dataclass(frozen=True, slots=True)
class CostWords:
    """The words for one quantity that is better when lower.

    Attributes:
        noun: What it is, on an axis.
        better: Of a network that has less of it.
        worse: Of one that has more.
        best: Of the one that has least.
        unit: That figures and columns show it in.
        scale: From the unit of the score to that one.
        digits: Decimals in a column.
        word: A value, with its unit.
    """

    noun: str
    better: str
    worse: str
    best: str
    unit: str
    scale: float
    digits: int
    word: Callable[[float], str]


_COSTS: Mapping[str, CostWords] = {
    "latency": CostWords("latency", "faster", "slower", "fastest", "ms", 1.0, 3, lambda ms: f"{ms:.3f} ms"),
    "size": CostWords("file size", "smaller", "larger", "smallest", "kB", 1e-3, 1, word_bytes),
    "stored": CostWords("stored size", "smaller stored", "larger stored", "smallest stored", "kB", 1e-3, 2, word_bytes),
    "macs": CostWords(
        "MACs", "fewer MACs", "more MACs", "fewest MACs", "M", 1e-6, 1, lambda macs: f"{macs / 1e6:.2f} M MACs"
    ),
    "memory": CostWords("memory", "less memory", "more memory", "least memory", "MB", 1e-6, 2, word_bytes),
    "energy": CostWords(
        "energy", "less energy", "more energy", "least energy", "mJ", 1.0, 3, lambda mj: f"{mj:.3f} mJ"
    ),
}


def cost_words(axis: Objective) -> CostWords:
    """The words for an objective other than the accuracy."""
    return _COSTS[axis.name.partition("@")[0]]


def profile_of(axis: Objective) -> str:
    """` on board`, where it is measured on another hardware profile than the main one."""
    _, at, profile = axis.name.partition("@")
    return f" on {profile}" if at else ""


def costs(objectives: Objectives) -> list[Objective]:
    """The objectives that accuracy is given for, the main one first."""
    return [axis for axis in objectives if not axis.is_accuracy]


def further_costs(goals: Goals) -> list[Objective]:
    """What counts in a search beside the accuracy, latency, size and MACs, which are shown of every run."""
    shown = ("accuracy", "latency", "size", "macs")
    names = [axis.name for axis in goals.objectives] + [limit.name for limit in goals.constraints]
    return [Objective(name) for name in dict.fromkeys(names) if name not in shown]


def storage_note(goals: Goals) -> str:
    """What must be known of the stored size, where it counts; else nothing."""
    if not goals.has_stored:
        return ""
    return (
        "Codes and tied filters act on the stored size (a .pare file) alone, and so do zero weights wherever a runtime "
        "computes with them: latency and the runtime's file are those of the network without them"
    )


def further_columns(goals: Goals) -> list[Objective]:
    """Columns of the report's table that not every run has: MACs where they are an objective, and `further_costs`."""
    return [axis for axis in goals.objectives if axis.name == "macs"] + further_costs(goals)


def scaled(score: Score, axis: Objective) -> Score:
    """A cost in the unit that people see it in."""
    scale = cost_words(axis).scale
    low, high = (None if end is None else end * scale for end in (score.low, score.high))
    return replace(score, value=score.value * scale, low=low, high=high)


def headline_drop(goals: Goals) -> float:
    """Points of accuracy that the headline allows to be lost: the limit where there is one, else one point."""
    return COMMON_DROP if goals.max_drop is None else goals.max_drop


def pick_words(goals: Goals) -> str:
    """What the headline's network is: `fastest within 1 pt`."""
    main = goals.objectives.main_cost
    return f"{cost_words(main).best}{profile_of(main)} within {headline_drop(goals):g} pt"


def gains(trial: Trial, baseline: Trial, objectives: Objectives) -> list[str]:
    """What became of each cost: `3.1x faster`, `1.2x larger`; without those that a trial has no score for."""
    return [
        word_gain(axis, baseline.value(axis.score) / trial.value(axis.score))
        for axis in costs(objectives)
        if axis.score in trial.scores and axis.score in baseline.scores
    ]


def word_gain(axis: Objective, ratio: float) -> str:
    """How many times less there is of it, or more: `3.1x faster on board`."""
    words = cost_words(axis)
    return f"{word_ratio(max(ratio, 1 / ratio))} {words.better if ratio >= 1 else words.worse}{profile_of(axis)}"


def word_box(objectives: Objectives, max_ratio: float) -> str:
    """The box that fronts are judged by: `5 pt lost, 64x faster and 64x smaller`."""
    drops = [f"{axis.max_drop:g} pt lost" for axis in objectives if axis.is_accuracy]
    return enumerated(
        drops + [f"{max_ratio:g}x {cost_words(axis).better}{profile_of(axis)}" for axis in costs(objectives)]
    )


def enumerated(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
