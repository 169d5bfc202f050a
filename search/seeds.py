"""Where a search starts: uniform configurations, and for any trade-off the best configuration by the tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..evaluators.cost_tables import CostTables
from ..spaces import Choice, Configuration, SearchSpace, Site

LADDER = (
    # (pruned share, folds on, rank level 0..1 or None); all in int8
    (0.25, False, None),
    (0.5, False, None),
    (0.5, True, None),
    (0.75, False, None),
    (0.75, True, None),
    (0.5, False, 1.0),
    (0.625, False, None),
    (0.25, True, None),
    (0.625, True, None),
    (0.25, False, 0.5),
    (0.0, False, None),
    (0.375, True, None),
    (0.375, False, None),
    (0.0, True, None),
    (0.875, False, None),
    (0.875, True, None),
)
"""Widest apart first, so that a short search still sees every technique and the tables every kind of layer."""

PASSES = 3
BISECTIONS = 9
MULTIPLIERS = (0.1, 10_000.0)
"""Points of accuracy that the whole baseline's cost is worth, from next to nothing to everything."""


def uniform_ladder(space: SearchSpace) -> Iterator[tuple[Configuration, str]]:
    """Configurations that treat every layer alike, with what they are, without repeats."""
    seen: set[Configuration] = set()
    for pruned, is_folded, rank in LADDER:
        choices: dict[str, Choice] = {}
        for site in space.sites:
            choices[site.name] = _UNIFORM[site.technique](site, pruned, is_folded, rank)
        configuration = space.canonical(choices)
        if configuration not in seen:
            seen.add(configuration)
            parts = [f"prune {pruned:.0%}", *(["folds"] if is_folded else []), *(["ranks"] if rank is not None else [])]
            yield configuration, f"uniform {', '.join(parts)}"


def _uniform_width(site: Site, pruned: float, is_folded: bool, rank: float | None) -> Choice:
    width = int(site.choices[0])
    return min(site.choices, key=lambda choice: abs(int(choice) - (1 - pruned) * width))


def _uniform_rank(site: Site, pruned: float, is_folded: bool, rank: float | None) -> Choice:
    return site.neutral if rank is None else site.choices[max(1, round(rank * (len(site.choices) - 1)))]


def _uniform_fold(site: Site, pruned: float, is_folded: bool, rank: float | None) -> Choice:
    return site.choices[-1] if is_folded else site.neutral


def _int8_or_smallest(site: Site, pruned: float, is_folded: bool, rank: float | None) -> Choice:
    return 8 if 8 in site.choices else site.choices[-1]


_UNIFORM: Mapping[str, Callable[[Site, float, bool, float | None], Choice]] = {
    "prune": _uniform_width,
    "rank": _uniform_rank,
    "fold": _uniform_fold,
    "bits": _int8_or_smallest,
}


@dataclass(frozen=True, slots=True)
class Direction:
    """What a sweep trades accuracy for.

    Attributes:
        latency: Weight of latency, as a share of the baseline's.
        size: Weight of size, likewise.
    """

    name: str
    latency: float
    size: float


DIRECTIONS = (Direction("latency", 1.0, 0.0), Direction("latency and size", 0.6, 0.4), Direction("size", 0.1, 0.9))


class LagrangeSweep:
    """For a trade-off, the configuration that the tables hold best: least damage plus multiplier times cost."""

    def __init__(
        self, space: SearchSpace, tables: CostTables, site_drops: Mapping[str, Mapping[Choice, float]]
    ) -> None:
        self._space, self._tables, self._drops = space, tables, site_drops
        self._scale = (tables.latency_ms({}), tables.size_bytes({}))
        self._layers = {site.name: tables.layers_under(site) for site in space.sites}

    def at_drop(
        self, target: float, direction: Direction, drop: Callable[[Mapping[str, Choice]], float]
    ) -> Configuration:
        """The configuration on the sweep whose predicted drop comes closest to a target from below.

        Args:
            target: Percentage points.
            direction: What is traded for.
            drop: Predicts the drop of a configuration.
        """
        low, high = math.log(MULTIPLIERS[0]), math.log(MULTIPLIERS[1])
        best = choices = self.solve(MULTIPLIERS[0], direction, {})
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            choices = self.solve(math.exp(middle), direction, choices)
            if drop(self._space.canonical(choices)) <= target:
                low, best = middle, choices
            else:
                high = middle
        return self._space.canonical(best)

    def solve(self, multiplier: float, direction: Direction, start: Mapping[str, Choice]) -> dict[str, Choice]:
        """Coordinate descent over the sites until nothing improves; only a site's own layers are looked at."""
        choices = dict(start)
        for _ in range(PASSES):
            before = dict(choices)
            for site in self._space.sites:
                costs = []
                for choice in site.choices:
                    choices[site.name] = choice
                    costs.append(self._drops[site.name][choice] + multiplier * self._cost(site, choices, direction))
                choices[site.name] = site.choices[costs.index(min(costs))]
            if choices == before:
                break
        return choices

    def _cost(self, site: Site, choices: Mapping[str, Choice], direction: Direction) -> float:
        """What the layers under a site cost, as a share of the baseline."""
        latency = size = 0.0
        for layer in self._layers[site.name]:
            layer_ms, layer_bytes = self._tables.layer_cost(layer, choices)
            latency, size = latency + layer_ms, size + layer_bytes
        return direction.latency * latency / self._scale[0] + direction.size * size / self._scale[1]
