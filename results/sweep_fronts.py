"""The fronts of a sweep: on each hardware what all its searches of one task found together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluators.evaluator import Score
from ..search.front import ranked
from ..search.goals import Goals
from ..search.objectives import Objective
from ..search.trial import Fidelity, Trial
from .goal_words import cost_words, scaled
from .load import Run
from .sweep import Sweep, SweptSearch
from .wording import word_bytes, word_ratio, word_score


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A member of one search's front.

    Attributes:
        search: Name of the search.
        setting: Name of its set of flags.
        number: Of the trial.
        cost: The main one, as the axis shows it.
        accuracy: %, validation.
        drop: Percentage points.
        is_best: Whether no member of another search makes it superfluous: it is in the combined front.
        lines: What a reader learns by pointing at it.
    """

    search: str
    setting: str
    number: int
    cost: Score
    accuracy: Score
    drop: float
    is_best: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SweepFront:
    """What the searches of one task found on one hardware, as far as it compares.

    Attributes:
        hardware: Names of the profiles.
        task: Name of the task.
        axis: What accuracy is drawn against.
        fidelity: Training behind the accuracies.
        points: Members of the searches' fronts, search by search; the baselines are among them.
        shares: Members of the combined front by setting, as (setting, members, searches).
        left_out: Searches that are not in it, each with the reason.
    """

    hardware: str
    task: str
    axis: Objective
    fidelity: Fidelity
    points: tuple[SweepPoint, ...]
    shares: tuple[tuple[str, int, int], ...]
    left_out: tuple[tuple[str, str], ...]


def sweep_fronts(sweep: Sweep) -> list[SweepFront]:
    """One front for each task on each hardware, in the order of the plan; none where nothing was found yet.

    Members are compared only where they were measured on one machine, for the same goals, and had the same training;
    of several such groups the largest is shown, and the searches of the others are named with what keeps them apart.
    """
    places = dict.fromkeys((each.planned.hardware, each.planned.task) for each in sweep.searches)
    return [front for place in places if (front := _front(sweep, *place)) is not None]


def _front(sweep: Sweep, hardware: str, task: str) -> SweepFront | None:
    searches = [s for s in sweep.searches if (s.planned.hardware, s.planned.task) == (hardware, task)]
    found = [(each, each.run) for each in searches if each.run is not None and each.run.front]
    if not found:
        return None
    keys = [_key(run) for _, run in found]
    common = max(keys, key=lambda key: (keys.count(key), -keys.index(key)))
    fitting = [pair for pair, key in zip(found, keys, strict=True) if key == common]
    goals, fidelity = fitting[0][1].goals, fitting[0][1].findings.fidelity
    best = _combined([run for _, run in fitting], goals)
    points = [
        _point(each, trial, goals, is_best=(position, trial.number) in best)
        for position, (each, run) in enumerate(fitting)
        for trial in run.front
    ]
    left_out = [
        (each.planned.name, _difference(key, common))
        for (each, _), key in zip(found, keys, strict=True)
        if key != common
    ]
    left_out += [(each.planned.name, "no front yet") for each in searches if each.run is None or not each.run.front]
    return SweepFront(
        hardware,
        task,
        goals.objectives.main_cost,
        fidelity,
        tuple(points),
        _shares([each for each, _ in fitting], points),
        tuple(left_out),
    )


def _key(run: Run) -> tuple[str, str, str, str]:
    """What members must have in common to be compared."""
    facts = run.manifest
    machines = f"{facts.get('fingerprint_key')} {facts.get('other_fingerprint_key')}"
    objectives = json.dumps(run.goals.to_json(), sort_keys=True)
    return str(facts.get("task_key")), machines, objectives, run.findings.fidelity.value


def _difference(key: tuple[str, ...], common: tuple[str, ...]) -> str:
    names = (
        "another network, data or recipe",
        "another machine",
        "other objectives or limits",
        "other training so far",
    )
    return ", ".join(name for name, one, other in zip(names, key, common, strict=True) if one != other)


def _combined(runs: Sequence[Run], goals: Goals) -> set[tuple[int, int]]:
    """Which members no other makes superfluous, as (position of the run, number of the trial)."""
    members = [(position, trial) for position, run in enumerate(runs) for trial in run.front]
    # By identity: trials of different runs have the same numbers.
    best = {id(trial) for trial in ranked([trial for _, trial in members], goals)[0]}
    return {(position, trial.number) for position, trial in members if id(trial) in best}


def _shares(searches: Sequence[SweptSearch], points: Sequence[SweepPoint]) -> tuple[tuple[str, int, int], ...]:
    settings = [each.planned.setting for each in searches]
    return tuple(
        (name, sum(point.is_best and point.setting == name for point in points), settings.count(name))
        for name in dict.fromkeys(settings)
    )


def _point(each: SweptSearch, trial: Trial, goals: Goals, *, is_best: bool) -> SweepPoint:
    assert each.run is not None
    axis, baseline = goals.objectives.main_cost, each.run.baseline
    speedup = baseline.value("latency_ms") / trial.value("latency_ms")
    cost = scaled(trial.scores[axis.score], axis)
    lines = (
        f"{each.planned.name} #{trial.number}{'' if trial.configuration else ' (baseline)'}",
        f"accuracy {word_score(trial.scores['accuracy'], 2)} %, {trial.value('accuracy_drop'):.2f} pt lost",
        f"{word_score(cost, 3)} {cost_words(axis).unit}, {word_ratio(speedup)} faster",
        word_bytes(trial.value("size_bytes")),
    )
    planned = each.planned
    drop = trial.value("accuracy_drop")
    return SweepPoint(planned.name, planned.setting, trial.number, cost, trial.scores["accuracy"], drop, is_best, lines)
