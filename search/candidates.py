"""Candidates that a proposer screens: changes of the front's members, and new solutions of the tables."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..spaces import Configuration, SearchSpace
from .costs import CostModel
from .moves import cross, exchange, mutate, shift_group
from .seeds import MULTIPLIERS, Direction, LagrangeSweep
from .site_blocks import SiteBlocks
from .surrogate import DropSurrogate
from .trial import Trial

N_SCREENED = 96
N_MORE = 64
"""Moves screened for one proposal, and for each further one of the batch."""
LARGE_BATCH, N_MORE_OF_LARGE = 8, 16
"""Beyond so many proposals fewer moves for each: so many workers must not wait for the screening."""
N_SOLUTIONS = 8
"""Of the tables along each direction, found anew for every proposal."""
N_EARLY, N_DIRECTIONS_LATER = 128, 2
"""Configurations known beyond which a proposal tries so many directions, drawn anew, instead of all: solutions of the
tables are most of its time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be proposed.

    Attributes:
        configuration: Canonical.
        origin: How it was made, for people.
        parents: Numbers of the trials that it was made from.
        anchor: The trial whose measured costs its own are predicted relative to; None where there is none.
    """

    configuration: Configuration
    origin: str
    parents: tuple[int, ...] = ()
    anchor: Trial | None = None


class CandidatePool:
    """Makes candidates, without repeats."""

    def __init__(
        self, space: SearchSpace, costs: CostModel, surrogate: DropSurrogate, directions: Sequence[Direction]
    ) -> None:
        self._space, self._costs, self._surrogate = space, costs, surrogate
        self._directions, self._blocks = directions, SiteBlocks(space, costs)

    def draw(
        self, members: Sequence[Trial], known: Collection[Configuration], n: int, rng: random.Random
    ) -> list[Candidate]:
        """New candidates around the members of the front and from the tables.

        Args:
            members: Of the front; none is fine.
            known: Configurations that are not wanted.
            n: Proposals that are wanted.
            rng: Source of all randomness.
        """
        found: dict[Configuration, Candidate] = {}
        for candidate in self._sweeps(members, self._directions_for(len(known), rng), rng):
            if candidate.configuration not in known:
                found.setdefault(candidate.configuration, candidate)
        for _ in range(_n_screened(n) if members else 0):
            candidate = self._move(members, rng)
            if candidate.configuration not in known:
                found.setdefault(candidate.configuration, candidate)
        return list(found.values())

    def _directions_for(self, n_known: int, rng: random.Random) -> Sequence[Direction]:
        is_early = n_known < N_EARLY or len(self._directions) <= N_DIRECTIONS_LATER
        return self._directions if is_early else rng.sample(self._directions, N_DIRECTIONS_LATER)

    def _sweeps(self, members: Sequence[Trial], directions: Sequence[Direction], rng: random.Random) -> list[Candidate]:
        """Solutions along the directions, with the sites' drops drawn from what is believed of them."""
        low, high = math.log(MULTIPLIERS[0]), math.log(MULTIPLIERS[1])
        found = []
        for direction in directions:
            drops = self._surrogate.site_drops(np.random.default_rng(rng.getrandbits(64)))
            sweep = LagrangeSweep(self._blocks, direction, drops)
            choices = dict(rng.choice(members).configuration) if members else {}
            for multiplier in sorted(rng.uniform(low, high) for _ in range(N_SOLUTIONS)):
                choices = sweep.solve(math.exp(multiplier), choices, passes=1)
                found.append(Candidate(self._space.canonical(choices), f"tables' best for {direction.name}"))
        return found

    def _move(self, members: Sequence[Trial], rng: random.Random) -> Candidate:
        parent = rng.choice(members)
        draw = rng.random()
        if draw < 0.4:
            return self._changed(mutate(self._space, parent.configuration, rng), "mutation", parent)
        if draw < 0.6:
            return self._changed(exchange(self._space, parent.configuration, rng), "exchange", parent)
        if draw < 0.8:
            return self._changed(shift_group(self._space, parent.configuration, rng), "shift", parent)
        other = rng.choice(members)
        configuration = cross(self._space, parent.configuration, other.configuration, rng)
        if other is parent:
            return self._changed(mutate(self._space, parent.configuration, rng), "mutation", parent)
        origin = f"crossover of #{parent.number} and #{other.number}"
        return Candidate(configuration, origin, (parent.number, other.number), parent)

    def _changed(self, configuration: Configuration, how: str, parent: Trial) -> Candidate:
        return Candidate(configuration, f"{how} of #{parent.number}", (parent.number,), parent)


def _n_screened(n: int) -> int:
    """Moves for a batch of n."""
    return N_SCREENED + N_MORE * (min(n, LARGE_BATCH) - 1) + N_MORE_OF_LARGE * max(0, n - LARGE_BATCH)
