"""What the report's question "which one should I take" is answered from: the members, scores and layers, in words."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluators.evaluator import Score
from ..search.objectives import MAX_DROP, Objective
from ..search.trial import Trial
from .decisions import describe
from .front_data import reference_accuracy
from .goal_words import cost_words, costs, further_costs, headline_drop, profile_of, scaled
from .layer_decisions import decide_layer, sites_by_layer, word_layer
from .layer_times import layer_times
from .load import Run
from .summary import word_gains
from .wording import word_bytes, word_score

_LATENCY = "latency_ms"
_ALL_ELSE = "all else"


def picker_data(run: Run, page_directory: Path) -> dict[str, Any]:
    """Plain data; `members` is empty where the front has no compressed network.

    Args:
        run: Finished or not.
        page_directory: Where the page will lie; links are relative to it.
    """
    baseline = run.findings.baseline
    members = [trial for trial in run.front if trial.configuration]
    if baseline is None or not members:
        return {"members": []}
    pick = run.findings.pick
    latencies = [trial.value(_LATENCY) for trial in (*members, baseline)]
    before = layer_times(baseline)
    return {
        "baseline": {"latency_ms": baseline.value(_LATENCY), "scores": _scores(baseline, run)},
        "limits": {"drop": _first_drop(members, run), "max_drop": _max_drop(members, run)}
        | {"fastest_ms": min(latencies), "slowest_ms": max(latencies), "reference": reference_accuracy(baseline)},
        "costs": [{"score": axis.score, "best": _best(axis)} for axis in costs(run.objectives)],
        "main_is_latency": run.objectives.main_cost.score == _LATENCY,
        "pick": pick.number if pick else None,
        "layers": _layers(run, before),
        "members": [_member(trial, baseline, run, page_directory) for trial in members],
    }


def _best(axis: Objective) -> str:
    return f"{cost_words(axis).best}{profile_of(axis)}"


def _first_drop(members: list[Trial], run: Run) -> float:
    """Where the slider begins: at what the headline allows, or at the least that any member loses."""
    least = min(trial.value("accuracy_drop") for trial in members)
    return max(headline_drop(run.goals), math.ceil(10 * least) / 10)


def _max_drop(members: list[Trial], run: Run) -> float:
    """The end of the slider: what the worst member loses, unless that is far beyond use."""
    worst = math.ceil(max(trial.value("accuracy_drop") for trial in members))
    return max(min(float(worst), 2 * MAX_DROP), _first_drop(members, run), 1.0)


def _member(trial: Trial, baseline: Trial, run: Run, page_directory: Path) -> dict[str, Any]:
    path = run.artefact(trial)
    suffix = path.suffix if path else ".onnx"
    values = {axis.score: trial.value(axis.score) for axis in costs(run.objectives)}
    return {
        "number": trial.number,
        "values": {**values, _LATENCY: trial.value(_LATENCY), "accuracy_drop": trial.value("accuracy_drop")},
        "title": word_gains(trial, baseline, run.goals),
        "scores": _scores(trial, run),
        "done": describe(trial.configuration),
        "layers": _decided(trial, run),
        "command": f"parefront export {shlex.quote(str(run.directory))} --pick {trial.number} --to model{suffix}",
        "file": Path(os.path.relpath(path, page_directory)).as_posix() if path else None,
        "notes": _notes(trial),
    }


def _scores(trial: Trial, run: Run) -> list[dict[str, str]]:
    """Name, value and interval of each score, in the order in which people ask for them."""
    shown: list[tuple[str, Score | None, int, str]] = [
        ("accuracy on validation", trial.scores.get("accuracy"), 1, " %"),
        ("lost on validation", trial.scores.get("accuracy_drop"), 1, " pt"),
        ("accuracy on test", trial.scores.get("test_accuracy"), 1, " %"),
        ("lost on test", trial.scores.get("test_drop"), 1, " pt"),
        ("latency", trial.scores.get(_LATENCY), 3, " ms"),
    ]
    for axis in (Objective("macs"), *further_costs(run.goals)):
        words, score = cost_words(axis), trial.scores.get(axis.score)
        name = f"{words.noun}{profile_of(axis)}"
        shown.append((name, None if score is None else scaled(score, axis), words.digits, f" {words.unit}"))
    cells = [_cell(name, score, digits, unit) for name, score, digits, unit in shown]
    size = {"name": "file size", "value": word_bytes(trial.value("size_bytes")), "interval": ""}
    return [*cells[:5], size, *cells[5:]]


def _cell(name: str, score: Score | None, digits: int, unit: str) -> dict[str, str]:
    if score is None:
        return {"name": name, "value": "", "interval": ""}
    value, _, interval = word_score(score, digits).partition(" ")
    return {"name": name, "value": f"{value}{unit}", "interval": interval}


def _layers(run: Run, before: Mapping[str | None, float]) -> list[dict[str, Any]]:
    """Name, facts and microseconds in the baseline, None where not profiled; last what belongs to no layer."""
    layers = run.manifest.get("layers", ())
    found = [
        {"name": str(each["name"]), "facts": word_layer(each), "us": _rounded(before, each["name"])} for each in layers
    ]
    return [*found, {"name": _ALL_ELSE, "facts": "conversions, additions, pooling", "us": _rounded(before, None)}]


def _decided(trial: Trial, run: Run) -> list[dict[str, Any]]:
    """Words and microseconds for each of `_layers`."""
    names = [str(layer["name"]) for layer in run.manifest.get("layers", ())]
    by_layer, after = sites_by_layer(names, run.sites), layer_times(trial)
    cells = [decide_layer(name, by_layer[name], trial.configuration) for name in names]
    done = [
        {"words": " · ".join(cell.words), "us": _rounded(after, name)} for name, cell in zip(names, cells, strict=True)
    ]
    return [*done, {"words": "", "us": _rounded(after, None)}]


def _rounded(times: Mapping[str | None, float], layer: str | None) -> float | None:
    """To 1 %, which is more than a profile knows; 0 where the network no longer has the layer."""
    return float(f"{times.get(layer, 0.0):.3g}") if times else None


def _notes(trial: Trial) -> list[str]:
    """What a person should know before taking it."""
    notes = []
    if trial.is_verified is None:
        notes.append("Not checked in its runtime yet: that is done for final members")
    if trial.details.get("latency_quality", "good") != "good":
        notes.append("Its latency did not converge")
    executed, planned = trial.details.get("executed_int8"), trial.details.get("planned_int8")
    if executed is not None and planned is not None and executed < planned:
        notes.append(f"Only {executed} of {planned} operators planned in int8 ran so")
    return notes
