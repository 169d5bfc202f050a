"""Everything about one trial: its scores beside the baseline's, what was done to each layer, how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..evaluators.evaluator import Score
from ..search.objectives import QUANTITIES, Objective
from ..search.trial import Fidelity, State, Trial
from .artefact_state import ArtefactState, artefact_states
from .goal_words import cost_words, profile_of, scaled, word_gain
from .layer_decisions import decide_layer, sites_by_layer, word_layer
from .lineage import Lineage, lineage
from .load import ResultsError, Run
from .wording import word_score

_COST_NAMES = {quantity.score: name for name, quantity in QUANTITIES.items() if quantity.is_structural}
_PLAIN_ROWS = {"accuracy": ("accuracy %", "accuracy_drop"), "test_accuracy": ("test accuracy %", "test_drop")}
"""Scores that are not costs: how they are headed, and the score that says what was lost."""


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One score beside the baseline's, in words.

    Attributes:
        name: With its unit: `latency ms`.
        value: With its interval where it was measured.
        baseline: The baseline's, without an interval; empty where it has none.
        difference: `3.1x faster`, `0.45 pt lost [0.11, 0.80]`; empty where nothing can be said.
    """

    name: str
    value: str
    baseline: str
    difference: str


@dataclass(frozen=True, slots=True)
class LayerLine:
    """What was done to one layer.

    Attributes:
        name: Of the layer.
        facts: What it was: `conv, 16→32 channels, 1,179,648 MACs`.
        words: One decision each, such as `48→24`, `int8`, `folded`; empty where it is unchanged.
    """

    name: str
    facts: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrialView:
    """What `show` shows.

    Attributes:
        trial: Itself.
        standing: What became of it: `on the front, the pick`, `failed: …`.
        scores: Each beside the baseline's.
        layers: In the order of the network.
        lineage: How it came about.
        artefact_state: Of its file.
    """

    trial: Trial
    standing: str
    scores: tuple[ScoreLine, ...]
    layers: tuple[LayerLine, ...]
    lineage: Lineage
    artefact_state: ArtefactState

    def to_json(self) -> dict[str, Any]:
        """Plain data: the record itself, and what is derived from it."""
        return {
            **self.trial.to_json(),
            "configuration": dict(self.trial.configuration),
            "standing": self.standing,
            "layers": [{"name": each.name, "facts": each.facts, "done": list(each.words)} for each in self.layers],
            "why": self.lineage.to_json(),
            "artefact_state": self.artefact_state.value,
        }


def view_trial(run: Run, number: int) -> TrialView:
    """Gathers what is known of a trial.

    Raises:
        ResultsError: The run has no such trial.
    """
    trial = next((each for each in run.trials if each.number == number), None)
    if trial is None:
        n_trials = len(run.trials)
        known = f"its {n_trials} trials are 0 to {run.trials[-1].number}" if n_trials else "it has no trial yet"
        raise ResultsError(f"the trial must be one of {run.directory}, got {number}: {known}")
    return TrialView(
        trial,
        _standing(trial, run),
        tuple(_score_lines(trial, run.findings.baseline)),
        tuple(_layer_lines(trial, run)),
        lineage(trial, run.trials, run.sites),
        artefact_states([trial], run.artefacts)[0],
    )


def _standing(trial: Trial, run: Run) -> str:
    if trial.state is State.FAILED:
        return f"failed: {trial.reason}"
    if trial.state is State.DOMINATED:
        return f"closed before training: {trial.reason}"
    if trial.is_verified is False:
        return f"failed its verification: {trial.reason}"
    later = [each for each in run.trials if each.state is State.COMPLETE]
    again = next((each.number for each in later if each.supersedes == trial.number), None)
    if again is not None:
        return f"measured again as #{again}, which counts instead"
    on_front = any(trial is member for member in run.front)
    parts = ["the baseline"] if not trial.configuration else []
    parts += ["on the front"] if on_front else []
    parts += ["the pick"] if trial is run.findings.pick else []
    promoted = next((each.number for each in later if each.parent == trial.number), None)
    parts += [f"promoted as #{promoted}"] if promoted is not None else []
    parts += [] if on_front or promoted is not None or not trial.configuration else ["not on the front"]
    return ", ".join(parts)


def _score_lines(trial: Trial, baseline: Trial | None) -> list[ScoreLine]:
    known: Mapping[str, Score] = {} if baseline is None else baseline.scores
    lines = []
    for name, score in trial.scores.items():
        kind, at, profile = name.partition("@")
        if name in _PLAIN_ROWS:
            heading, drop = _PLAIN_ROWS[name]
            reference = f"{known[name].value:.2f}" if name in known else ""
            lines.append(ScoreLine(heading, word_score(score, 2), reference, _loss(trial, drop)))
        elif kind in _COST_NAMES:
            lines.append(_cost_line(Objective(f"{_COST_NAMES[kind]}{at}{profile}"), score, known.get(name)))
        elif name not in (drop for _, drop in _PLAIN_ROWS.values()):
            unit = f" {score.unit}" if score.unit else ""
            lines.append(ScoreLine(f"{name.replace('_', ' ')}{unit}", f"{score.value:.3g}", "", ""))
    # Accuracy first, whatever was measured first.
    return sorted(lines, key=lambda line: "accuracy" not in line.name)


def _cost_line(axis: Objective, score: Score, baseline: Score | None) -> ScoreLine:
    words = cost_words(axis)
    heading = "M MACs" if axis.name == "macs" else f"{words.noun}{profile_of(axis)} {words.unit}"
    value = word_score(scaled(score, axis), words.digits)
    if baseline is None:
        return ScoreLine(heading, value, "", "")
    reference = f"{scaled(baseline, axis).value:.{words.digits}f}"
    change = "the same" if score.value == baseline.value else word_gain(axis, baseline.value / score.value)
    return ScoreLine(heading, value, reference, change)


def _loss(trial: Trial, name: str) -> str:
    """Points lost or gained, with the interval turned the same way."""
    score = trial.scores.get(name)
    if score is None:
        return ""
    sign = -1.0 if score.value < 0 else 1.0
    ends = sorted(sign * end for end in (score.low, score.high) if end is not None)
    interval = f" [{ends[0]:.2f}, {ends[1]:.2f}]" if len(ends) == 2 else ""
    return f"{sign * score.value:.2f} pt {'gained' if sign < 0 else 'lost'}{interval}"


def _layer_lines(trial: Trial, run: Run) -> list[LayerLine]:
    layers = run.manifest.get("layers", ())
    by_layer = sites_by_layer((layer["name"] for layer in layers), run.sites)
    return [
        LayerLine(name, word_layer(layer), decide_layer(name, sites, trial.configuration).words)
        for layer, (name, sites) in zip(layers, by_layer.items(), strict=True)
    ]


def word_fidelity(fidelity: Fidelity) -> str:
    """How much training an accuracy had: `after the full fine-tune`, `without training`."""
    return "without training" if fidelity is Fidelity.CALIBRATED else f"after the {fidelity} fine-tune"
