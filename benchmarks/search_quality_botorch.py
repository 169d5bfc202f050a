"""qLogNEHVI of BoTorch behind our ask and tell (Daulton et al. 2021, Ament et al. 2023). The library is optional.

A Gaussian process per objective over the positions of the choices, each between 0 and 1. The acquisition is optimised
over the continuous box, and the best of its optima that is new once rounded is proposed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.search_quality_peers import Positions
from parefront.search.goals import Goals
from parefront.search.pareto import Point
from parefront.search.proposal import Proposal
from parefront.search.trial import State, Trial
from parefront.spaces import Configuration, SearchSpace

N_STARTUP = 20
N_SAMPLES = 64
"""Quasi-random samples of the posterior."""
N_RESTARTS, N_RAW, MAX_ITERATIONS = 6, 256, 100
MAX_TRIES = 100


class BotorchProposer:
    """qLogNEHVI, one proposal at a time, from a random start."""

    def __init__(
        self, space: SearchSpace, seed: int, goals: Goals, *, seeds: Sequence[Configuration] = (), is_told_floor: bool
    ) -> None:
        """Fails at once where the library is missing.

        Args:
            space: What may be chosen.
            seed: Of its random numbers.
            goals: Whose objectives are minimised.
            seeds: Configurations that it begins with.
            is_told_floor: Whether the box's worst corner is the reference point; otherwise it is inferred.

        Raises:
            ModuleNotFoundError: BoTorch is not installed.
        """
        import botorch  # noqa: F401  # what is missing is said before anything is evaluated

        self._space, self._goals, self._seed, self._is_told_floor = space, goals, seed, is_told_floor
        self._positions, self._seeds = Positions(space), list(seeds)
        self._found: dict[Configuration, Point | None] = {}
        self._baseline: Trial | None = None

    def ask(self, n: int) -> list[Proposal]:
        """See `search.proposer.Proposer`."""
        seed = next((each for each in self._seeds if each not in self._found), None)
        if seed is not None:
            return [Proposal(seed, "seed")]
        if sum(point is not None for point in self._found.values()) > N_STARTUP:
            configuration = next((each for each in self._optima() if each not in self._found), None)
            if configuration is not None:
                return [Proposal(configuration, "qlognehvi")]
        return self._random()

    def tell(self, trial: Trial) -> None:
        """See `search.proposer.Proposer`."""
        self._baseline = self._baseline or trial
        is_complete = trial.state is State.COMPLETE
        self._found[trial.configuration] = self._goals.objectives.point(trial, self._baseline) if is_complete else None

    def _random(self) -> list[Proposal]:
        rng = random.Random(f"{self._seed}:{len(self._found)}")
        for _ in range(MAX_TRIES):
            drawn = self._space.canonical({site.name: rng.choice(site.choices) for site in self._space.sites})
            if drawn not in self._found:
                return [Proposal(drawn, "random")]
        return []

    def _optima(self) -> list[Configuration]:
        """The configurations nearest to the local optima of the acquisition, the best first."""
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler

        torch.manual_seed(self._seed * 10_007 + len(self._found))
        observed = [(c, point) for c, point in self._found.items() if point is not None]
        x = torch.tensor(np.array([self._positions.of(c) / self._positions.highest for c, _ in observed]))
        y = -torch.tensor([point for _, point in observed], dtype=torch.double)  # it maximises
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=_fitted(x, y),
            ref_point=self._reference(y),
            X_baseline=x,
            prune_baseline=True,
            sampler=SobolQMCNormalSampler(torch.Size([N_SAMPLES]), seed=self._seed),
        )
        candidates, values = optimize_acqf(
            acquisition,
            bounds=torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, x.shape[1]),
            q=1,
            num_restarts=N_RESTARTS,
            raw_samples=N_RAW,
            options={"maxiter": MAX_ITERATIONS},
            return_best_only=False,
        )
        best_first = candidates[values.flatten().argsort(descending=True), 0].detach().numpy()
        return [self._positions.configuration(each * self._positions.highest) for each in best_first]

    def _reference(self, y: Tensor) -> list[float]:
        from botorch.utils.multi_objective.hypervolume import infer_reference_point
        from botorch.utils.multi_objective.pareto import is_non_dominated

        if self._is_told_floor:
            return [-x for x in self._goals.objectives.reference]
        inferred: list[float] = infer_reference_point(y[is_non_dominated(y)]).tolist()
        return inferred


def _fitted(x: Tensor, y: Tensor) -> Any:
    """A Gaussian process for each objective: BoTorch's ModelListGP, which has no types of ours."""
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms.outcome import Standardize
    from gpytorch.mlls import SumMarginalLogLikelihood

    models = [SingleTaskGP(x, y[:, i : i + 1], outcome_transform=Standardize(m=1)) for i in range(y.shape[1])]
    model = ModelListGP(*models)
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    return model
