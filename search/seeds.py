"""Where a search starts beside uniform configurations: for any trade-off, the best configuration by the tables."""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..spaces import Choice, Configuration, SearchSpace, Site
from ..spaces.fold_clusters import fold_clusters
from .costs import CostModel
from .goals import Goals

_REPLACING = ("operator", "rank")
"""Techniques that put others in the place of a layer, of which one can."""
PASSES = 3
BISECTIONS = 9
MULTIPLIERS = (0.1, 10_000.0)
"""Points of accuracy that the whole baseline's cost is worth, from next to nothing to everything."""


@dataclass(frozen=True, slots=True)
class Direction:
    """What a sweep trades accuracy for.

    Attributes:
        name: For people: `latency`, `latency and size`.
        weights: Of each of the cost model's scores, as shares of the baseline's; they sum to 1.
    """

    name: str
    weights: tuple[float, ...]


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

    Coordinate descent over the sites; folds that overlap are chosen together, exactly, by dynamic programming over the
    order of the layers (weighted interval scheduling).
    """

    def __init__(self, space: SearchSpace, costs: CostModel, site_drops: Mapping[str, Mapping[Choice, float]]) -> None:
        """Takes the tables as they are now.

        Args:
            space: What may be chosen.
            costs: Of layers.
            site_drops: Points lost by each choice of each site alone.
        """
        self._space, self._costs, self._drops = space, costs, site_drops
        self._order = {layer: position for position, layer in enumerate(space.widths)}
        self._folds = [_FoldCluster(sites, self._order) for sites in fold_clusters(space) if len(sites) > 1]
        single = [site for site in space.sites if not any(site in cluster.sites for cluster in self._folds)]
        self._together = _together(single)

    def strongest(self, direction: Direction, is_mild: Callable[[Configuration], bool]) -> Configuration:
        """The strongest configuration on the sweep that is mild enough, by bisection of the multiplier.

        Args:
            direction: What is traded for.
            is_mild: Whether a configuration may be stronger: its predicted drop is within a target, or a limit is not
                yet kept.
        """
        low, high = math.log(MULTIPLIERS[0]), math.log(MULTIPLIERS[1])
        best = choices = self.solve(MULTIPLIERS[0], direction, {})
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            choices = self.solve(math.exp(middle), direction, choices)
            if is_mild(self._space.canonical(choices)):
                low, best = middle, choices
            else:
                high = middle
        return self._space.canonical(best)

    def solve(
        self, multiplier: float, direction: Direction, start: Mapping[str, Choice], passes: int = PASSES
    ) -> dict[str, Choice]:
        """Improves one site after the other until nothing improves; only a site's own layers are looked at.

        Args:
            multiplier: Points of accuracy that the whole baseline's cost is worth.
            direction: Which cost.
            start: Where to begin; neutral where a site is missing.
            passes: At most, over all sites.
        """
        choices = {site.name: start.get(site.name, site.neutral) for site in self._space.sites}
        for _ in range(passes):
            before = dict(choices)
            for sites in self._together:
                names = [site.name for site in sites]
                costs = []
                for combination in _combinations(sites):
                    choices.update(zip(names, combination, strict=True))
                    damage = sum(self._drops[name][choice] for name, choice in zip(names, combination, strict=True))
                    costs.append((damage + multiplier * self._cost(sites[0], choices, direction), combination))
                choices.update(zip(names, min(costs, key=lambda each: each[0])[1], strict=True))
            for cluster in self._folds:
                choices |= cluster.best(functools.partial(self._gain, choices, multiplier, direction))
            if choices == before:
                break
        return choices

    def _gain(
        self, choices: Mapping[str, Choice], multiplier: float, direction: Direction, site: Site, choice: Choice
    ) -> float:
        """What a fold alone among its cluster gives beside no fold at all: negative where it pays."""
        cluster = next(cluster for cluster in self._folds if site in cluster.sites)
        off = {**choices, **{other.name: other.neutral for other in cluster.sites}}
        change = self._cost(site, {**off, site.name: choice}, direction) - self._cost(site, off, direction)
        return self._drops[site.name][choice] + multiplier * change

    def _cost(self, site: Site, choices: Mapping[str, Choice], direction: Direction) -> float:
        """What the layers under a site cost, as a share of the baseline."""
        total = 0.0
        for layer in self._costs.layers_under(site):
            for share, weight in zip(self._costs.shares(layer, choices), direction.weights, strict=True):
                total += weight * share
        return total


class _FoldCluster:
    """Folds that share layers, so that not all of them can be."""

    def __init__(self, sites: Sequence[Site], order: Mapping[str, int]) -> None:
        self.sites = tuple(sites)
        spans = [
            (site, choice, [order[layer] for layer in site.touched(choice)])
            for site in sites
            for choice in site.choices
            if choice != site.neutral
        ]
        self._spans = sorted(
            ((max(places), min(places), site, choice) for site, choice, places in spans), key=lambda each: each[:2]
        )

    def best(self, gain: Callable[[Site, Choice], float]) -> dict[str, Choice]:
        """The folds that together gain most (most negative) without sharing a layer; all others neutral."""
        # best_until[i]: the least sum with the first i spans, by where they end.
        sums: list[tuple[float, dict[str, Choice]]] = [(0.0, {})]
        ends = [end for end, *_ in self._spans]
        for position, (_, start, site, choice) in enumerate(self._spans):
            before = bisect.bisect_left(ends, start, 0, position)
            value, taken = sums[before]
            with_it = value + gain(site, choice), {**taken, site.name: choice}
            sums.append(min(sums[position], with_it, key=lambda each: each[0]))
        return {**{site.name: site.neutral for site in self.sites}, **sums[-1][1]}


def _combinations(sites: Sequence[Site]) -> Iterator[tuple[Choice, ...]]:
    """The choices of sites that are taken together: of those that replace a layer at most one is not neutral."""
    for combination in itertools.product(*(site.choices for site in sites)):
        replacing = [
            site
            for site, choice in zip(sites, combination, strict=True)
            if site.technique in _REPLACING and choice != site.neutral
        ]
        if len(replacing) <= 1:
            yield combination


def _together(sites: Sequence[Site]) -> list[list[Site]]:
    """The sites one by one, but operator, rank and bits of one layer together: what parts cost depends on their bits.

    The rank comes first, or the operator: all layers that depend on the bits depend on it.
    """
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault(site.layer if site.technique in (*_REPLACING, "bits") else site.name, []).append(site)
    return [sorted(group, key=lambda site: site.technique, reverse=True) for group in groups.values()]
