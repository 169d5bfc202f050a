"""Reads the trials of an Optuna study that somebody else runs, as trials that a proposer learns from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from ..evaluators.cost_tables import CostTables
from ..evaluators.evaluator import Score
from ..hardware_profiles.errors import SearchError
from ..spaces import Configuration, SearchSpace
from .costs import OPERATORS
from .goals import Goals
from .objectives import Objective
from .proposal import PARENTS, Proposal
from .record import directions
from .trial import Fidelity, State, Trial

PROPOSAL = "parefront:proposal"
"""User attribute of a trial: the configuration that was proposed for it, and why."""
FIXED = "fixed_params"
"""System attribute in which Optuna keeps what a person enqueued."""


class ForeignStudy:
    """What the values of a study mean, and what its trials say."""

    def __init__(self, space: SearchSpace, goals: Goals) -> None:
        """Checks the goals.

        Args:
            space: What may be chosen.
            goals: The objectives in the order of the study's values.

        Raises:
            SearchError: No accuracy among the objectives, or a limit on a score that no value holds.
        """
        self._space, self._goals, self._tables = space, goals, CostTables(space)
        self._sites = {site.name for site in space.sites}
        names = [axis.name for axis in goals.objectives]
        if not any(axis.is_accuracy for axis in goals.objectives):
            raise SearchError(f"one of the objectives must be accuracy, got {', '.join(names)}: add it")
        held = {"macs", *(axis.score for axis in goals.objectives)}  # MACs are known without measuring
        for limit in goals.constraints:
            if limit.score not in held:
                raise SearchError(
                    f"a limit must be on macs or on one of the objectives {', '.join(names)}, got {limit.text!r}: "
                    "add the objective"
                )

    def check(self, study: Study) -> None:
        """Refuses a study whose values cannot be the objectives.

        Raises:
            SearchError: Another number of values or other directions.
        """
        expected = directions(self._goals)
        found = tuple(direction.name.lower() for direction in study.directions)
        if found != expected:
            names = ", ".join(axis.name for axis in self._goals.objectives)
            raise SearchError(
                f"the study's directions must be {', '.join(expected)} for {names}, got {', '.join(found)}: "
                f"create it with directions={list(expected)}, or name its values in objectives=[...]"
            )

    def proposal(self, frozen: FrozenTrial) -> Proposal | None:
        """What a trial evaluates, canonical, and why; None where no site was asked for so far."""
        noted = frozen.user_attrs.get(PROPOSAL, {})
        chosen, enqueued = self._sites_of(frozen.params), self._sites_of(frozen.system_attrs.get(FIXED, {}))
        if not noted and not chosen and not enqueued:
            return None
        # What was evaluated decides; sites that the objective did not ask for stayed neutral.
        choices = chosen
        if not chosen or not frozen.state.is_finished():
            choices = {**(Configuration.from_json(noted["configuration"]) if noted else enqueued), **chosen}
        origin = str(noted.get("origin", "enqueued"))
        return Proposal(self._space.canonical(choices), origin, {PARENTS: noted.get(PARENTS, [])})

    def noted(self, proposal: Proposal) -> dict[str, Any]:
        """A proposal as plain data, for `PROPOSAL`."""
        parents = list(proposal.details.get(PARENTS, []))
        return {"configuration": proposal.configuration.to_json(), "origin": proposal.origin, PARENTS: parents}

    def accuracy(self, frozen: FrozenTrial) -> float | None:
        """Of a trial with usable values, in percent; None of any other.

        Raises:
            SearchError: The uncompressed network's is a fraction of one.
        """
        values = self._values(frozen)
        if values is None:
            return None
        accuracy = next(values[axis.score] for axis in self._goals.objectives if axis.is_accuracy)
        proposal = self.proposal(frozen)
        if accuracy <= 1 and proposal is not None and not proposal.configuration:
            raise SearchError(
                f"accuracy must be in percent, got {accuracy:g} for the uncompressed network: return 100 times as much"
            )
        return accuracy

    def trial(self, frozen: FrozenTrial, baseline_accuracy: float) -> Trial:
        """An ended trial; failed where it has no usable values.

        Args:
            frozen: As Optuna has it.
            baseline_accuracy: Of the uncompressed network, in percent.
        """
        proposal, values = self.proposal(frozen), self._values(frozen)
        assert proposal is not None
        scores: dict[str, Score] = {}
        if values is not None:
            for axis in self._goals.objectives:
                value = values[axis.score]
                if axis.is_accuracy:
                    scores["accuracy"] = Score("accuracy", value, "%", True)
                    value = baseline_accuracy - value
                scores[axis.score] = Score(axis.score, value, axis.quantity.unit, False)
            macs = float(self._tables.macs(proposal.configuration))
            scores.setdefault("macs", Score("macs", macs, "MACs", False))
        return Trial(
            frozen.number,
            proposal.configuration,
            Fidelity.SHORT,
            State.COMPLETE if scores else State.FAILED,
            scores,
            origin=proposal.origin,
            reason="" if scores else f"{frozen.state.name.lower()}, or values that are no measurement",
            details={**proposal.details, **_operators(frozen, scores)},
        )

    def _sites_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a trial's parameters that are sites."""
        return {name: choice for name, choice in params.items() if name in self._sites}

    def _values(self, frozen: FrozenTrial) -> dict[str, float] | None:
        """By the names of the scores, the accuracy's under that of its drop; None where they mean nothing."""
        if frozen.state is not TrialState.COMPLETE:
            return None
        values = dict(zip((axis.score for axis in self._goals.objectives), frozen.values, strict=True))
        is_usable = all(_is_usable(axis, values[axis.score]) for axis in self._goals.objectives)
        return values if is_usable else None


def _is_usable(axis: Objective, value: float) -> bool:
    return math.isfinite(value) and (axis.is_accuracy or value > 0)


def _operators(frozen: FrozenTrial, scores: Mapping[str, Score]) -> dict[str, Any]:
    """Operator times that the objective noted; they are learnt from with a latency and a size beside them."""
    if not {"latency_ms", "size_bytes"} <= set(scores):
        return {}
    return {name: rows for name, rows in frozen.user_attrs.items() if name.partition("@")[0] == OPERATORS}
