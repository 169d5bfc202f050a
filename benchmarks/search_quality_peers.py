"""NSGA-II of pymoo behind our ask and tell. The library is optional.

To it a site is the position of its choice, an integer: what its documentation recommends for discrete variables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parefront.search.goals import Goals
from parefront.search.objectives import Objectives
from parefront.search.pareto import Point
from parefront.search.proposal import Proposal
from parefront.search.trial import State, Trial
from parefront.spaces import Configuration, SearchSpace

POPULATION = 20
MAX_STALE_GENERATIONS = 50
"""Generations in a row without a configuration that is new before it counts as exhausted."""


class Positions:
    """Configurations as vectors of the positions of their choices, and back."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.highest = np.array([len(site.choices) - 1 for site in space.sites])

    def of(self, configuration: Configuration) -> NDArray[np.int64]:
        """Shape (sites,)."""
        chosen = [configuration.get(site.name, site.neutral) for site in self._space.sites]
        return np.array([s.choices.index(c) for s, c in zip(self._space.sites, chosen, strict=True)])

    def configuration(self, positions: Sequence[float] | NDArray[Any]) -> Configuration:
        """The canonical configuration nearest to any vector."""
        whole = np.clip(np.rint(np.asarray(positions, dtype=float)), 0, self.highest).astype(int)
        chosen = {s.name: s.choices[i] for s, i in zip(self._space.sites, whole, strict=True)}
        return self._space.canonical(chosen)


class PymooProposer:
    """NSGA-II with integer operators; a configuration that is known already costs no evaluation."""

    def __init__(
        self, space: SearchSpace, seed: int, goals: Goals, *, seeds: Sequence[Configuration] = (), is_told_floor: bool
    ) -> None:
        """Draws the first population: the seeds, then chance.

        Args:
            space: What may be chosen.
            seed: Of its random numbers.
            goals: Whose objectives are minimised.
            seeds: Members of the first population.
            is_told_floor: Whether the end of the accuracy's axis is a constraint.
        """
        self._objectives: Objectives = goals.objectives
        self._positions, self._is_told_floor = Positions(space), is_told_floor
        self._known: dict[Configuration, Point | None] = {}
        self._baseline: Trial | None = None
        self._algorithm, self._problem = _algorithm(self._positions, seed, int(is_told_floor), seeds)
        self._generation: Any = None  # pymoo's Population, which has no types
        self._queue: deque[Configuration] = deque()

    def ask(self, n: int) -> list[Proposal]:
        """See `search.proposer.Proposer`; one at a time, as a generation must be told whole."""
        for _ in range(MAX_STALE_GENERATIONS):
            if self._queue:
                return [Proposal(self._queue.popleft(), "nsga2")]
            if self._generation is not None:
                self._finish_generation()
            self._generation = self._algorithm.ask()
            members = map(self._positions.configuration, self._generation.get("X"))
            self._queue.extend(each for each in dict.fromkeys(members) if each not in self._known)
        return []

    def tell(self, trial: Trial) -> None:
        """See `search.proposer.Proposer`."""
        self._baseline = self._baseline or trial
        is_complete = trial.state is State.COMPLETE
        self._known[trial.configuration] = self._objectives.point(trial, self._baseline) if is_complete else None

    def _finish_generation(self) -> None:
        from pymoo.problems.static import StaticProblem

        found = [self._known[self._positions.configuration(x)] for x in self._generation.get("X")]
        worst = tuple(10.0 for _ in self._objectives)  # of what failed: nothing that was measured is as bad
        values = np.array([worst if point is None else point for point in found])
        results = {"F": values} | ({"G": values[:, :1] - 1.0} if self._is_told_floor else {})
        self._algorithm.evaluator.eval(StaticProblem(self._problem, **results), self._generation)
        self._algorithm.tell(infills=self._generation)


def _algorithm(positions: Positions, seed: int, n_constraints: int, seeds: Sequence[Configuration]) -> tuple[Any, Any]:
    """pymoo's algorithm and problem, with the settings that its documentation gives for integers."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair

    highest = positions.highest
    problem = Problem(
        n_var=len(highest), n_obj=3, n_ieq_constr=n_constraints, xl=np.zeros(len(highest)), xu=highest, vtype=int
    )
    drawn = np.random.default_rng(seed).integers(0, highest + 1, size=(max(0, POPULATION - len(seeds)), len(highest)))
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=np.array([*map(positions.of, seeds), *drawn]),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", 10**9), seed=seed, verbose=False)
    return algorithm, problem
