"""Reads the trials of an Optuna study that somebody else runs, as trials that a proposer learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from ..hardware_profiles.errors import SearchError
from ..spaces import Configuration, SearchSpace
from .foreign_values import ForeignValues
from .goals import Goals
from .proposal import PARENTS, Proposal
from .study_form import directions
from .trial import Trial

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
        self._space, self._goals, self._values = space, goals, ForeignValues(space, goals)
        self._sites = {site.name for site in space.sites}

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
        values, proposal = self._read(frozen), self.proposal(frozen)
        return None if values is None or proposal is None else self._values.accuracy(values, proposal)

    def trial(self, frozen: FrozenTrial, baseline_accuracy: float) -> Trial:
        """An ended trial; failed where it has no usable values.

        Args:
            frozen: As Optuna has it.
            baseline_accuracy: Of the uncompressed network, in percent.
        """
        proposal = self.proposal(frozen)
        assert proposal is not None
        reason = f"{frozen.state.name.lower()}, or values that are no measurement"
        values, notes = self._read(frozen), frozen.user_attrs
        return self._values.trial(frozen.number, proposal, values, baseline_accuracy, reason=reason, notes=notes)

    def _sites_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a trial's parameters that are sites."""
        return {name: choice for name, choice in params.items() if name in self._sites}

    def _read(self, frozen: FrozenTrial) -> dict[str, float] | None:
        """See `ForeignValues.read`."""
        return self._values.read(frozen.values) if frozen.state is TrialState.COMPLETE else None
