"""The samplers that stand beside our own, by the names of `--sampler`."""

from __future__ import annotations

from collections.abc import Sequence

from ..spaces import Configuration, SearchSpace
from .goals import DEFAULT_GOALS, Goals
from .optuna_proposer import SAMPLERS, OptunaProposer
from .proposal import Proposer
from .random_proposer import RANDOM_SAMPLER, RandomProposer

SAMPLER_NAMES = (RANDOM_SAMPLER, *SAMPLERS)


def open_sampler(
    space: SearchSpace, sampler: str, seed: int, goals: Goals = DEFAULT_GOALS, *, seeds: Sequence[Configuration] = ()
) -> Proposer:
    """A proposer of that name.

    Args:
        space: What may be chosen.
        sampler: One of `SAMPLER_NAMES`.
        seed: Of its random numbers.
        goals: Objectives and limits; chance does not look at them.
        seeds: Canonical configurations that it begins with.

    Raises:
        SearchError: Unknown sampler.
    """
    if sampler == RANDOM_SAMPLER:
        return RandomProposer(space, seed, seeds=seeds)
    return OptunaProposer(space, sampler, seed, goals, seeds=seeds)
