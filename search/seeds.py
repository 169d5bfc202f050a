"""For any trade-off between the objectives, the configuration that the tables hold best."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..spaces import Choice
from .costs import CostModel
from .goals import Goals
from .site_blocks import SiteBlocks, SiteDrops

PASSES = 3


@dataclass(frozen=True, slots=True)
class Direction:
    """What a sweep trades accuracy for.

    Attributes:
        name: For people: `latency`, `latency and size`.
        weights: Of each of the cost model's scores, as shares of the baseline's; they sum to 1.
    """

    name: str
    weights: tuple[float, ...]


MULTIPLIERS = (0.1, 10_000.0)
"""Points of accuracy that the whole baseline's cost is worth, from next to nothing to everything."""
PAIR_SHARES = (0.6, 0.85, 0.3)
"""How two costs are mixed, from the first mix tried to the last."""
CORNER = 0.9
"""Weight of the one cost that a corner is for, where there are others: a free reduction of these is taken along."""


def directions(costs: CostModel, goals: Goals) -> list[Direction]:
    """Trade-offs between the objectives that cost: the first alone, mixtures of pairs, the others, all together."""
    names = {axis.score: axis.name for axis in goals.objectives if not axis.is_accuracy}
    scores = [score for score in costs.scores if score in names]

    def mixture(shares: Mapping[str, float], name: str) -> Direction:
        return Direction(name, tuple(shares.get(score, 0.0) for score in costs.scores))

    first, *others = scores
    found = [mixture({first: 1.0}, names[first])]
    for share, (a, b) in itertools.product(PAIR_SHARES, itertools.combinations(scores, 2)):
        found.append(mixture({a: share, b: 1 - share}, f"{names[a]} and {names[b]} {share:.0%}"))
    rest = (1 - CORNER) / max(1, len(others))
    for corner in others:
        shares = {score: CORNER if score == corner else rest for score in scores}
        found.insert(2, mixture(shares, names[corner]))
    if len(scores) > 2:
        found.insert(1, mixture(dict.fromkeys(scores, 1 / len(scores)), "all costs"))
    return found


class LagrangeSweep:
    """For a trade-off, the configuration that the tables hold best: least damage plus multiplier times cost.

    Coordinate descent over blocks of sites; folds that overlap are chosen together, exactly.
    """

    def __init__(self, blocks: SiteBlocks, direction: Direction, site_drops: SiteDrops) -> None:
        """Takes the drops as they are believed now.

        Args:
            blocks: Of the space, with what their options cost.
            direction: Which costs.
            site_drops: Points lost by each choice of each site alone.
        """
        self._blocks, self._weights = blocks, np.array(direction.weights)
        self._neutral = {name: next(iter(drops)) for name, drops in site_drops.items()}
        self._drops = [
            np.array([sum(site_drops[name][choice] for name, choice in option.items()) for option in block.options])
            for block in blocks.blocks
        ]

    def solve(self, multiplier: float, start: Mapping[str, Choice], passes: int = PASSES) -> dict[str, Choice]:
        """Improves one block after the other until nothing improves; only a block's own layers are looked at.

        Args:
            multiplier: Points of accuracy that the whole baseline's cost is worth.
            start: Where to begin; neutral where a site is missing.
            passes: At most, over all blocks.
        """
        choices = {**self._neutral, **start}
        weights = multiplier * self._weights
        for _ in range(passes):
            before = dict(choices)
            for position, (block, drops) in enumerate(zip(self._blocks.blocks, self._drops, strict=True)):
                choices.update(block.best(drops + self._blocks.costs(position, choices) @ weights))
            if choices == before:
                break
        return choices
