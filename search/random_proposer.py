"""Uniform draws from the space, as a point of comparison: the least that any other way of proposing must beat."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..spaces import Configuration, SearchSpace
from .moves import random_configuration
from .proposal import Proposal
from .trial import Trial

RANDOM_SAMPLER = "random"
MAX_TRIES = 60
"""Repeats in a row before a space counts as exhausted."""


class RandomProposer:
    """Every site's choice is drawn on its own, each with the same chance; what is known already is drawn again.

    Drawn here and not by Optuna's sampler of that name: asking a study for 60 sites takes 4 ms, which is as long as
    all else that the driver does for a trial.
    """

    def __init__(self, space: SearchSpace, seed: int, *, seeds: Sequence[Configuration] = ()) -> None:
        """Begins.

        Args:
            space: What may be chosen.
            seed: Of its random numbers.
            seeds: Canonical configurations that it begins with.
        """
        self._space, self._seed, self._seeds = space, seed, tuple(seeds)
        self._known: set[Configuration] = set()

    def ask(self, n: int) -> list[Proposal]:
        """New configurations; fewer where the space has hardly any left."""
        proposals = [Proposal(each, "seed") for each in self._seeds if each not in self._known][:n]
        self._known.update(each.configuration for each in proposals)
        # One stream of random numbers per state of knowledge, so that a resumed search goes on the same way.
        rng, n_repeats = random.Random(f"{self._seed} {len(self._known)}"), 0
        while len(proposals) < n and n_repeats < MAX_TRIES:
            configuration = random_configuration(self._space, rng)
            n_repeats += 1
            if configuration not in self._known:
                n_repeats = 0
                self._known.add(configuration)
                proposals.append(Proposal(configuration, RANDOM_SAMPLER))
        return proposals

    def tell(self, trial: Trial) -> None:
        """See `Proposer`."""
        self._known.add(trial.configuration)
