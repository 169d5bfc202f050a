"""Proposes configurations: ask and tell, without side effects, the same for the same seed and results."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..evaluators.cost_tables import CostTables
from ..evaluators.latency_predictor import LatencyPredictor
from ..evaluators.sensitivity import Damages
from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Configuration, SearchSpace
from .damage_model import DamageModel
from .front import REFERENCE, complete, front, objectives, point
from .moves import cross, mutate, shift_group
from .pareto import Point, hypervolume_gain
from .screening import PREDICTED
from .seeds import DIRECTIONS, Direction, LagrangeSweep, uniform_ladder
from .trial import Fidelity, Trial

SWEEP_DROPS = (2.5, 5.0)
"""Percentage points that the sweeps aim at, beyond what the fine-tune's own offset costs."""
N_LADDER = 8
N_CANDIDATES = 96
"""Moves screened per proposal."""
MAX_TRIES = 100
"""Draws before a space counts as exhausted."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to evaluate.

    Attributes:
        configuration: Canonical, never one that was told or proposed before.
        origin: Why: `uniform prune 50 %`, `sweep …`, `mutation of #12`.
        details: What the proposer wants back with the trial.
    """

    configuration: Configuration
    origin: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Proposer(Protocol):
    """Where configurations come from."""

    def ask(self, n: int) -> list[Proposal]:
        """Up to n new proposals; fewer or none when the space is exhausted."""
        ...

    def tell(self, trial: Trial) -> None:
        """An ended trial, whichever way it ended."""
        ...


class TableProposer:
    """Uniform ladder, then sweeps over the cost tables, then local moves around the front screened by predictions."""

    def __init__(self, space: SearchSpace, tables: CostTables, damages: Damages, seed: int) -> None:
        self._space, self._tables, self._seed = space, tables, seed
        self._predictor = LatencyPredictor(tables)
        self._model = DamageModel(space, damages)
        self._ladder = list(uniform_ladder(space))[:N_LADDER]
        self._trials: list[Trial] = []
        self._pending: dict[Configuration, str] = {}

    def ask(self, n: int) -> list[Proposal]:
        """See `Proposer`; what was proposed and not told yet counts as known."""
        self._fit()
        proposals: list[Proposal] = []
        while len(proposals) < n:
            known = {trial.configuration for trial in self._trials} | set(self._pending)
            proposal = self._next(known, random.Random(f"{self._seed}:{len(known)}"))
            if proposal is None:
                break
            self._pending[proposal.configuration] = proposal.origin
            proposals.append(self._with_prediction(proposal))
        return proposals

    def tell(self, trial: Trial) -> None:
        """See `Proposer`."""
        self._pending.pop(trial.configuration, None)
        self._trials.append(trial)
        times = [OperatorTime(*row) for row in trial.details.get("operators", ())]
        if trial.parent is None and times and "latency_ms" in trial.scores:  # a promotion measures nothing anew
            self._predictor.observe(trial.configuration, times, trial.value("latency_ms"), trial.value("size_bytes"))

    def _with_prediction(self, proposal: Proposal) -> Proposal:
        """Notes the latency that is expected now, so that the record shows how far predictions can be trusted."""
        if not self._predictor.n_observed:
            return proposal
        predicted_ms = round(self._predictor.latency_ms(proposal.configuration), 6)
        return replace(proposal, details={**proposal.details, PREDICTED: predicted_ms})

    def _fit(self) -> None:
        observed = [t for t in complete(self._trials, Fidelity.SHORT) if len(t.configuration) > 0]
        self._model.fit([t.configuration for t in observed], [t.value("accuracy_drop") for t in observed])

    def _next(self, known: set[Configuration], rng: random.Random) -> Proposal | None:
        for configuration, origin in self._ladder:
            if configuration not in known:
                return Proposal(configuration, origin)
        origins = [trial.origin for trial in self._trials] + list(self._pending.values())
        for target, direction in itertools.product(SWEEP_DROPS, DIRECTIONS):
            origin = f"sweep for {direction.name} at {target:g} pt"
            if origin not in origins:
                return self._sweep(target, direction, origin, known, rng)
        return self._move(known, rng)

    def _sweep(
        self, target: float, direction: Direction, origin: str, known: set[Configuration], rng: random.Random
    ) -> Proposal | None:
        sweep = LagrangeSweep(self._space, self._tables, self._model.site_drops())
        configuration = sweep.at_drop(target + self._model.offset, direction, self._model.drop)
        for _ in range(MAX_TRIES):
            if configuration not in known:
                return Proposal(configuration, origin)
            configuration = mutate(self._space, configuration, rng)
        return None

    def _move(self, known: set[Configuration], rng: random.Random) -> Proposal | None:
        """The move around the front that promises the greatest gain in hypervolume."""
        members = [t for t in front(self._trials, Fidelity.SHORT) if len(t.configuration) > 0]
        if not members:
            return self._random(known, rng)
        baseline = self._trials[0]
        points = [objectives(trial, baseline) for trial in members]
        best: tuple[float, Proposal] | None = None
        for _ in range(N_CANDIDATES):
            parent = rng.choice(members)
            configuration, how = self._change(parent, members, rng)
            if configuration in known:
                continue
            gain = hypervolume_gain(self._predict(configuration, parent, baseline), points, REFERENCE)
            if best is None or gain > best[0]:
                best = gain, Proposal(configuration, f"{how} of #{parent.number}")
        return best[1] if best else self._random(known, rng)

    def _change(self, parent: Trial, members: list[Trial], rng: random.Random) -> tuple[Configuration, str]:
        draw = rng.random()
        if draw < 0.5:
            return mutate(self._space, parent.configuration, rng), "mutation"
        if draw < 0.75:
            return shift_group(self._space, parent.configuration, rng), "shift"
        return cross(self._space, parent.configuration, rng.choice(members).configuration, rng), "crossover"

    def _predict(self, configuration: Configuration, parent: Trial, baseline: Trial) -> Point:
        """Objectives by prediction, all relative to what was observed of the parent."""
        drop = parent.value("accuracy_drop") + self._model.drop(configuration) - self._model.drop(parent.configuration)
        latency_ratio = self._predictor.latency_ms(configuration) / self._predictor.latency_ms(parent.configuration)
        size_ratio = self._tables.size_bytes(configuration) / self._tables.size_bytes(parent.configuration)
        return point(
            drop,
            parent.value("latency_ms") * latency_ratio / baseline.value("latency_ms"),
            parent.value("size_bytes") * size_ratio / baseline.value("size_bytes"),
        )

    def _random(self, known: set[Configuration], rng: random.Random) -> Proposal | None:
        for _ in range(MAX_TRIES):
            choices = {site.name: rng.choice(site.choices) for site in self._space.sites}
            configuration = self._space.canonical(choices)
            if configuration not in known:
                return Proposal(configuration, "random")
        return None
