"""Proposes configurations: ask and tell, without side effects, the same for the same seed and results.

First uniform configurations; then whatever promises the greatest gain in hypervolume among small changes of the front
and what the tables hold best in several directions. The tables learn from every trial.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..evaluators.cost_tables import CostTables
from ..evaluators.evaluator import Score
from ..evaluators.sensitivity import Damages
from ..spaces import Configuration, SearchSpace
from .candidates import Candidate, CandidatePool
from .costs import CostModel
from .damage_scales import Rows
from .drop_forecasts import FORETOLD, DropForecasts
from .expected_gain import ExpectedGain
from .front import complete
from .goals import DEFAULT_GOALS, Goals
from .moves import random_configuration
from .objectives import MAX_DROP
from .pareto import Point
from .proposal import PARENTS, Proposal, Proposer
from .running_front import RunningFront
from .screening import PREDICTED
from .seeds import directions
from .small_algebra import on_one_thread
from .surrogate import GROWTH, DropSurrogate
from .tables import Observations
from .trial import Fidelity, Trial
from .uniform_ladder import uniform_ladder

__all__ = ["Proposal", "Proposer", "TableProposer"]

LEAST_DROP = 0.25
"""Points: less cannot be told from nothing."""
N_LADDER = 8
SURELY = 0.7
"""Standard deviations of a predicted cost beyond a limit that count as breaking it."""
HOPELESS = 2.0
"""Times the largest drop that counts."""
LEAST_FITTED = 2
"""Drops observed before one is foretold."""
MAX_TRIES = 100
"""Draws before a space counts as exhausted."""


class TableProposer:
    """Uniform ladder, then whatever promises most around the front and by the tables."""

    def __init__(
        self,
        space: SearchSpace,
        tables: CostTables,
        damages: Damages,
        seed: int,
        goals: Goals = DEFAULT_GOALS,
        *,
        divergences: Damages | None = None,
        observations: Observations | None = None,
    ) -> None:
        """Begins a search.

        Args:
            space: What may be chosen.
            tables: Cost tables of the main profile, empty or from earlier measurements; they go on learning.
            damages: What every choice destroys, see `site_damages`.
            seed: Of everything random.
            goals: What is searched for.
            divergences: What every choice alone does to the outputs, where that was measured.
            observations: What earlier searches measured, by profile.
        """
        self._space, self._seed, self._goals = space, seed, goals
        self._max_drop = _largest_drop(goals)
        self._costs = CostModel(space, tables, goals, observations)
        self._surrogate = DropSurrogate(space, damages, self._max_drop, divergences)
        self._forecasts = DropForecasts(self._surrogate)
        self._ladder = list(uniform_ladder(space))
        self._pool = CandidatePool(space, self._costs, self._surrogate, directions(self._costs, goals))
        self._trials: list[Trial] = []
        self._front = RunningFront(self._trials, Fidelity.SHORT, goals)
        self._observed: dict[int, tuple[Trial, Rows]] = {}
        self._known: set[Configuration] = set()
        self._pending: dict[Configuration, Proposal] = {}
        self._points: dict[Configuration, Point] = {}
        self._n_expected = 0
        self._n_fitted = 0

    def ask(self, n: int) -> list[Proposal]:
        """See `Proposer`; what was proposed and not told yet counts as known."""
        with on_one_thread():
            return self._ask(n)

    def _ask(self, n: int) -> list[Proposal]:
        self._fit()
        proposals: list[Proposal] = []
        while len(proposals) < n:
            rng = random.Random(f"{self._seed}:{len(self._known)}")
            found = self._uniform() or self._promising(n - len(proposals), rng) or self._random(rng)
            if not found:
                break
            for proposal in found:
                self._pending[proposal.configuration] = proposal
                self._known.add(proposal.configuration)
                proposals.append(self._with_predictions(proposal))
        return proposals

    def tell(self, trial: Trial) -> None:
        """See `Proposer`."""
        self._pending.pop(trial.configuration, None)
        self._points.pop(trial.configuration, None)
        self._known.add(trial.configuration)
        self._trials.append(trial)
        self._costs.observe(trial)
        if trial.configuration and complete([trial], Fidelity.SHORT):
            if trial.supersedes is not None:
                self._observed.pop(trial.supersedes, None)
            else:
                self._forecasts.observe(trial)
            self._observed[trial.number] = trial, self._surrogate.rows([trial.configuration])[0]

    def expected_gain(self, configuration: Configuration, scores: Mapping[str, Score]) -> float | None:
        """What a candidate that was proposed promises, now that its structure is measured; see `GainCut`.

        Args:
            configuration: It.
            scores: Its structural scores.

        Returns:
            Hypervolume; None while too little is known to foretell any drop.
        """
        with on_one_thread():
            self._fit()
            if self._n_fitted < LEAST_FITTED:
                return None
            gain = ExpectedGain(self._goals, self._trials[0], self._costs, self._surrogate)
            under_way = zip(self._pending, self._expected(gain), strict=True)
            others = [point for each, point in under_way if each != configuration]
            front = self._points_of(self._members)
            return gain.of_measured(configuration, scores, front, others, self._forecasts)

    def foretold(self, configuration: Configuration) -> list[float] | None:
        """The drop that is expected now, see `FORETOLD`; None before any was observed."""
        with on_one_thread():
            self._fit()
            if not self._n_fitted:
                return None
            means, deviations = self._surrogate.predict(self._surrogate.rows([configuration]))
        return self._forecasts.of(float(means[0]), float(deviations[0]))

    def expect(self, proposals: Sequence[Proposal]) -> None:
        """Replaces what is under way: for where several share one search and someone else keeps the record.

        Args:
            proposals: All that were proposed, by whomever, and have not ended.
        """
        self._pending = {proposal.configuration: proposal for proposal in proposals}
        self._known.update(self._pending)

    def _with_predictions(self, proposal: Proposal) -> Proposal:
        """Notes the latency and the drop that are expected now: the record shows how far they can be trusted."""
        details = dict(proposal.details)
        if self._costs.main.n_observed:
            details[PREDICTED] = round(self._costs.main.latency_ms(proposal.configuration), 6)
        if foretold := self.foretold(proposal.configuration):
            details[FORETOLD] = foretold
        return replace(proposal, details=details)

    def _fit(self) -> None:
        if len(self._observed) != self._n_fitted:
            self._n_fitted = len(self._observed)
            rows = np.array([row for _, row in self._observed.values()])
            self._surrogate.fit(rows, [trial.value("accuracy_drop") for trial, _ in self._observed.values()])

    def _uniform(self) -> list[Proposal]:
        """The next step of the ladder; nothing when enough were made."""
        n_done = sum(configuration in self._known for configuration, _ in self._ladder)
        for configuration, origin in self._ladder if n_done < N_LADDER else ():
            if configuration not in self._known and not self._is_hopeless(configuration):
                return [Proposal(configuration, origin)]
        return []

    def _is_hopeless(self, configuration: Configuration) -> bool:
        """Whether it would surely lose far more than counts or break a limit: nothing is learnt from ruins."""
        if self._breaks_limits(configuration):
            return True
        means, deviations = self._surrogate.predict(self._surrogate.rows([configuration]))
        worst = self._surrogate.compressed(np.array([HOPELESS * self._max_drop]))
        return self._n_fitted > 1 and float(means[0] - deviations[0]) > float(worst[0])

    def _breaks_limits(self, configuration: Configuration) -> bool:
        """Whether it is sure to be slower or larger than is allowed."""
        limits = [limit for limit in self._goals.constraints if limit.is_structural]
        if not limits or not self._costs.n_observed:
            return False
        values = self._costs.values(configuration)
        surely = [math.exp(SURELY * self._costs.error(limit.score)) for limit in limits]
        return any(
            values.get(limit.score, 0.0) > limit.limit * beyond for limit, beyond in zip(limits, surely, strict=True)
        )

    def _promising(self, n: int, rng: random.Random) -> list[Proposal]:
        """Up to n candidates that together promise the greatest gain in hypervolume."""
        if not self._trials or not self._costs.n_observed:
            return []
        members = self._members or self._nearest_to_limits()
        candidates = self._pool.draw(members, self._known, n, rng)
        if not candidates:
            return []
        gain = ExpectedGain(self._goals, self._trials[0], self._costs, self._surrogate)
        chosen = gain.choose(candidates, self._points_of(members), self._expected(gain), n, rng)
        return [Proposal(each.configuration, each.origin, _parents(each)) for each in chosen]

    @property
    def _members(self) -> list[Trial]:
        return [trial for trial in self._front.members if trial.configuration]

    def _points_of(self, trials: Sequence[Trial]) -> list[Point]:
        objectives = self._goals.objectives
        return [objectives.clipped(objectives.point(trial, self._trials[0])) for trial in trials]

    def _expected(self, gain: ExpectedGain) -> list[Point]:
        """Where what is under way will come out, by what was known a little while ago.

        To predict a thousand workers' candidates anew every time would take as long as to find new ones.
        """
        if self._n_fitted >= GROWTH * self._n_expected:
            self._points, self._n_expected = {}, self._n_fitted
        missing = [configuration for configuration in self._pending if configuration not in self._points]
        self._points |= zip(missing, gain.points(missing), strict=True)
        return [self._points[configuration] for configuration in self._pending]

    def _nearest_to_limits(self) -> list[Trial]:
        """Where nothing keeps all limits yet: the trials that are nearest to it."""
        limits = self._goals.limits_at(Fidelity.SHORT)

        def violation(trial: Trial) -> float:
            beyond = (max(0.0, trial.value(each.score) - each.limit) / max(each.limit, 1e-9) for each in limits)
            return sum(beyond)

        observed = [trial for trial, _ in self._observed.values()]
        return sorted(observed, key=lambda trial: (violation(trial), trial.number))[:4]

    def _random(self, rng: random.Random) -> list[Proposal]:
        for _ in range(MAX_TRIES):
            configuration = random_configuration(self._space, rng)
            if configuration not in self._known:
                return [Proposal(configuration, "random")]
        return []


def _largest_drop(goals: Goals) -> float:
    """The points of accuracy at which a short candidate is worth nothing."""
    ends = [axis.max_drop for axis in goals.objectives if axis.is_accuracy]
    limits = [limit.limit for limit in goals.limits_at(Fidelity.SHORT) if not limit.is_structural]
    return max(LEAST_DROP, min([*ends, *limits], default=MAX_DROP))


def _parents(candidate: Candidate) -> dict[str, Sequence[int]]:
    return {PARENTS: list(candidate.parents)} if candidate.parents else {}
