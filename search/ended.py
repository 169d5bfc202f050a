"""An ended evaluation, as it is recorded and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..evaluators import Evaluation
from ..evaluators.evaluator import at_profile
from ..hardware_profiles.runtimes import OperatorTime
from .clock import ENDED
from .drop_forecasts import FORETOLD
from .gain_cut import PROMISED
from .proposal import PARENTS, Proposal
from .screening import PREDICTED
from .trial import FROM, REMEASURED, Fidelity, State, Trial

ARTEFACT = "trial-"
"""How the names of candidates' files begin; their ticket follows."""
_OPERATORS = "operators"
_OPERATORS_AT = at_profile(_OPERATORS, "")
_OF_THE_PROPOSAL = (_OPERATORS, "sampler", PREDICTED, FORETOLD, PROMISED, PARENTS, REMEASURED, FROM, ENDED)


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
    profiles = {_OPERATORS: outcome.operator_times}
    profiles |= {at_profile(_OPERATORS, name): times for name, times in outcome.operator_times_at.items()}
    operators = {name: _as_rows(times) for name, times in profiles.items()}
    details: dict[str, Any] = {**proposal.details, **outcome.details, **operators}
    return replace(
        trial,
        scores=outcome.scores,
        seconds={stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        artefact=outcome.artefact.name if state is State.COMPLETE else None,
        is_verified=outcome.is_verified,
        details=details,
    )


def as_repeated(number: int, trial: Trial, outcome: Evaluation | None, reason: str = "") -> Trial:
    """A trial that was measured again, with its accuracy and its file as they were; it takes the other's place.

    Args:
        number: Of the new trial.
        trial: The one that was measured before.
        outcome: What the full protocol gave; None where it failed, and then nothing is replaced.
        reason: Why it failed.
    """
    proposal = Proposal(trial.configuration, f"measured again #{trial.number}", {REMEASURED: trial.number})
    state = State.FAILED if outcome is None else State.COMPLETE
    again = as_trial(number, proposal, state, trial.fidelity, outcome, reason=reason)
    if outcome is None:
        return again
    facts = {name: fact for name, fact in trial.details.items() if name not in _OF_THE_PROPOSAL}
    return replace(
        again,
        scores={**trial.scores, **outcome.scores},
        artefact=trial.artefact,
        is_verified=trial.is_verified,
        details={**facts, **again.details},
    )


def operator_times(trial: Trial, profile: str | None = None) -> tuple[OperatorTime, ...]:
    """The runtime's own time per operator, as a trial recorded it; empty where it did not.

    Args:
        trial: An ended one.
        profile: Name of a hardware profile beside the main one; None for the main one.
    """
    name = _OPERATORS if profile is None else at_profile(_OPERATORS, profile)
    return tuple(OperatorTime(*row) for row in trial.details.get(name, ()))


def _as_rows(times: Sequence[OperatorTime]) -> list[list[Any]]:
    return [[time.layer, time.operator, time.precision, round(time.microseconds, 2)] for time in times]


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
    others = [name.removeprefix(_OPERATORS_AT) for name in trial.details if name.startswith(_OPERATORS_AT)]
    facts = {
        name: fact
        for name, fact in trial.details.items()
        if name not in _OF_THE_PROPOSAL and not name.startswith(_OPERATORS_AT)
    }
    scores = {name: score for name, score in trial.scores.items() if name not in ("accuracy", "accuracy_drop")}
    return Evaluation(
        scores,
        {},
        artefacts / trial.artefact,
        operator_times(trial),
        details=facts,
        operator_times_at={name: operator_times(trial, name) for name in others},
    )


def first_ticket(trials: Sequence[Trial]) -> int:
    """The first ticket whose file no trial has: trials that ran side by side ended in another order than they began."""
    stems = [Path(trial.artefact).stem for trial in trials if trial.artefact is not None]
    used = [int(stem.removeprefix(ARTEFACT)) for stem in stems if stem.removeprefix(ARTEFACT).isdecimal()]
    return max([len(trials) - 1, *used]) + 1
