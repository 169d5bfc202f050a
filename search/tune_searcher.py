"""The proposer as a searcher for people who run their own Ray Tune experiments; see docs/tune.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, cast

from ray.tune.search import Searcher
from torch import Tensor, nn

from ..evaluators.cost_tables import CostTables
from ..evaluators.sensitivity import Damages, site_damages
from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.errors import SearchError
from ..spaces import Configuration, Network, SearchSpace
from .foreign_values import ForeignValues, check_tries, open_network
from .goals import DEFAULT_GOALS, Goals
from .proposal import Proposal
from .proposer import TableProposer
from .trial import Trial

CONFIGURATION = "configuration"
"""What a trial finds its choices under, in Tune's `config`: by site, as far as they are not neutral."""
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Ended:
    """What came of a proposal: values, or the reason why there are none; and what else was reported."""

    proposal: Proposal
    values: Mapping[str, float] | None
    reason: str
    notes: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__slots__}, "proposal": self.proposal.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> _Ended:
        return cls(**{**data, "proposal": Proposal.from_json(data["proposal"])})


class TableSearcher(Searcher):
    """Proposes configurations of a search space to a Tune experiment.

    The first trial is the uncompressed network, by which the others are judged. A trial reports one metric for each
    objective, by its name: `accuracy` in percent, `latency` in ms, `size` in bytes. One that raises an error, reports
    no metric, or none that is a number, counts as failed and is not proposed again.

    Attributes:
        space: What may be chosen.
    """

    def __init__(
        self,
        network: Network,
        space: SearchSpace,
        *,
        goals: Goals = DEFAULT_GOALS,
        seed: int = 0,
        damages: Damages | None = None,
    ) -> None:
        """Begins without trials.

        Args:
            network: What is compressed.
            space: Its sites.
            goals: Objectives, whose names are those of the metrics, and limits.
            seed: Of everything random.
            damages: What every choice destroys; judged from the weights unless given.

        Raises:
            SpaceError: Nothing can be chosen.
            SearchError: The goals cannot be judged by metrics.
        """
        space.check_not_empty()
        # By Ray's types there is one metric; what it does and documents goes with several.
        metrics: Any = [axis.name for axis in goals.objectives]
        modes: Any = ["max" if axis.is_accuracy else "min" for axis in goals.objectives]
        super().__init__(metrics, modes)
        # Not the network: Tune writes the searcher to a file, and trials trace what they compress where they run.
        self.space, self._goals, self._seed = space, goals, seed
        self._damages = site_damages(network, space) if damages is None else damages
        self._values = ForeignValues(space, goals)
        self._begin()

    @classmethod
    def for_network(
        cls,
        model: nn.Module,
        example_inputs: Tensor,
        profile: str | HardwareProfile = "cpu-ort-1t",
        *,
        objectives: Sequence[str] = (),
        constraints: Sequence[str] = (),
        seed: int = 0,
    ) -> TableSearcher:
        """A searcher for a trained network; the arguments are those of `open_network`, and a seed.

        Raises:
            ParefrontError: The network cannot be traced, the profile or the goals are not understood.
        """
        network, space, goals = open_network(model, example_inputs, profile, objectives, constraints)
        return cls(network, space, goals=goals, seed=seed)

    def _begin(self) -> None:
        self._proposer = TableProposer(self.space, CostTables(self.space), self._damages, self._seed, goals=self._goals)
        self._baseline_accuracy: float | None = None
        self._under_way: dict[str, Proposal] = {}
        self._failed: dict[str, Proposal] = {}
        self._ended: list[_Ended] = []
        self._told: list[Trial] = []

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """See Tune: choices for a trial, or that everything was proposed.

        Raises:
            SearchError: The uncompressed network always fails.
        """
        self._proposer.expect([*self._under_way.values(), *(each.proposal for each in self._ended)])
        proposal = self._baseline() or next(iter(self._proposer.ask(1)), None)
        if proposal is None:
            return cast("dict[str, Any]", Searcher.FINISHED)  # a text, which Ray's types leave out
        self._under_way[trial_id] = proposal
        return {CONFIGURATION: dict(proposal.configuration)}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """See Tune.

        Raises:
            SearchError: The uncompressed network's accuracy is no percentage.
        """
        values, reason = (None, "the trial raised an error") if error or not result else self._read(result)
        proposal = self._under_way.pop(trial_id, None)
        if proposal is None:
            # Tune may try a failed trial again; what else it says twice is known.
            proposal = self._failed.pop(trial_id, None) if values is not None else None
        if proposal is None:
            return
        if values is None:
            self._failed[trial_id] = proposal
        notes = {} if result is None else {name: value for name, value in result.items() if isinstance(value, list)}
        self._ended.append(_Ended(proposal, values, reason, notes))
        self._tell()

    def save(self, checkpoint_path: str) -> None:
        """See Tune: writes what is known, as JSON."""
        state = {
            "schema": _SCHEMA,
            "baseline_accuracy": self._baseline_accuracy,
            "told": [trial.to_json() for trial in self._told],
            "ended": [each.to_json() for each in self._ended],
            "under_way": {name: each.to_json() for name, each in self._under_way.items()},
            "failed": {name: each.to_json() for name, each in self._failed.items()},
        }
        Path(checkpoint_path).write_text(json.dumps(state))

    def restore(self, checkpoint_path: str) -> None:
        """See Tune: goes on from what `save` wrote.

        Raises:
            SearchError: The file is no such state.
        """
        try:
            state = json.loads(Path(checkpoint_path).read_text())
            if state["schema"] != _SCHEMA:
                raise ValueError(f"schema {state['schema']!r}")
            told = [Trial.from_json(facts) for facts in state["told"]]
            ended = [_Ended.from_json(facts) for facts in state["ended"]]
            under_way, failed = (
                {name: Proposal.from_json(facts) for name, facts in state[part].items()}
                for part in ("under_way", "failed")
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise SearchError(
                f"{checkpoint_path} must be a state that this searcher saved, but cannot be read ({error}): start a "
                "new experiment"
            ) from error
        self._begin()
        self._baseline_accuracy, self._ended = state["baseline_accuracy"], ended
        self._under_way, self._failed = under_way, failed
        for trial in told:
            self._learn(trial)

    def _baseline(self) -> Proposal | None:
        """The uncompressed network where it has to be evaluated now."""
        if self._baseline_accuracy is not None or any(not each.configuration for each in self._under_way.values()):
            return None
        check_tries(sum(not each.proposal.configuration for each in self._ended))
        return Proposal(Configuration(), "baseline")

    def _read(self, result: Mapping[str, Any]) -> tuple[dict[str, float] | None, str]:
        """The values of a result; None with the reason where they are no measurement."""
        names = [axis.name for axis in self._goals.objectives]
        if missing := [name for name in names if not isinstance(result.get(name), Real)]:
            return None, f"{', '.join(missing)} was not reported"
        values = self._values.read([float(result[name]) for name in names])
        return values, "" if values else "reported values that are no measurement"

    def _tell(self) -> None:
        """Tells the proposer what has ended; nothing before the uncompressed network's values are known."""
        if self._baseline_accuracy is None:
            measured = (each for each in self._ended if each.values is not None and not each.proposal.configuration)
            baseline = next(measured, None)
            if baseline is None or baseline.values is None:
                return
            self._baseline_accuracy = self._values.accuracy(baseline.values, baseline.proposal)
            self._ended = [baseline, *(each for each in self._ended if each is not baseline)]
        for each in self._ended:
            self._learn(
                self._values.trial(
                    len(self._told),
                    each.proposal,
                    each.values,
                    self._baseline_accuracy,
                    reason=each.reason,
                    notes=each.notes,
                )
            )
        self._ended = []

    def _learn(self, trial: Trial) -> None:
        self._proposer.tell(trial)
        self._told.append(trial)
