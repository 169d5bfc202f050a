"""An ended evaluation, as it is recorded and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..evaluators import Evaluation
from ..hardware_profiles.runtimes import OperatorTime
from .proposer import Proposal
from .screening import PREDICTED
from .trial import Fidelity, State, Trial

_OF_THE_PROPOSAL = ("operators", "sampler", PREDICTED)


def as_trial(
    number: int,
    proposal: Proposal,
    state: State,
    fidelity: Fidelity,
    outcome: Evaluation | None,
    *,
    parent: int | None = None,
    reason: str = "",
) -> Trial:
    """An ended evaluation as it is recorded."""
    trial = Trial(
        number,
        proposal.configuration,
        fidelity,
        state,
        origin=proposal.origin,
        parent=parent,
        reason=reason,
        details=dict(proposal.details),
    )
    if outcome is None:
        return trial
    operators = [[t.layer, t.operator, t.precision, round(t.microseconds, 2)] for t in outcome.operator_times]
    details: dict[str, Any] = {**proposal.details, **outcome.details, "operators": operators}
    return replace(
        trial,
        scores=outcome.scores,
        seconds={stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        artefact=outcome.artefact.name if state is State.COMPLETE else None,
        is_verified=outcome.is_verified,
        details=details,
    )


def describe(trial: Trial) -> str:
    """One line about an ended trial."""
    head = f"#{trial.number} {trial.origin}"
    if trial.state is State.FAILED:
        return f"{head}: failed: {trial.reason}"
    latency = f"{trial.value('latency_ms'):.3f} ms, {trial.value('size_bytes') / 1000:.0f} kB"
    if trial.state is State.DOMINATED:
        return f"{head}: {latency}, closed"
    return f"{head}: {latency}, drop {trial.value('accuracy_drop'):.2f} pt"


def structure_of(trial: Trial, artefacts: Path) -> Evaluation:
    """What the structure stage had found of a trial, for its promotion.

    Args:
        trial: A complete one.
        artefacts: The run's artefact directory.
    """
    assert trial.artefact is not None, "a complete trial has a file"
    operators = tuple(OperatorTime(*row) for row in trial.details.get("operators", ()))
    facts = {name: fact for name, fact in trial.details.items() if name not in _OF_THE_PROPOSAL}
    scores = {name: score for name, score in trial.scores.items() if name not in ("accuracy", "accuracy_drop")}
    return Evaluation(scores, {}, artefacts / trial.artefact, operators, details=facts)
