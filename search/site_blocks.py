"""Sites that are chosen together, and what each of their options costs under given choices of all others."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..spaces import Choice, SearchSpace, Site
from ..spaces.fold_clusters import fold_clusters
from .costs import CostModel

Array = NDArray[np.float64]
Choices = Mapping[str, Choice]
SiteDrops = Mapping[str, Mapping[Choice, float]]

MAX_REMEMBERED = 50_000
_REPLACING = ("operator", "rank")
"""Techniques that put others in the place of a layer, of which one can."""


class Block(Protocol):
    """Sites that are chosen together.

    Attributes:
        options: What may be chosen; each names the sites that it sets.
        surroundings: The sites that their costs depend on beside their own.
    """

    options: Sequence[Choices]
    surroundings: tuple[str, ...]

    def costs(self, choices: Choices) -> Array:
        """Shares of the baseline's costs under each option, up to a constant, shape (options, scores)."""
        ...

    def best(self, values: Array) -> Choices:
        """The choices of all sites of the block that together have the least value.

        Args:
            values: Of each option, shape (options,).
        """
        ...


class SiteBlocks:
    """All blocks of a space, which remember what their options cost.

    Attributes:
        blocks: Folds that overlap come last.
    """

    def __init__(self, space: SearchSpace, costs: CostModel) -> None:
        """Takes the space apart.

        Args:
            space: What may be chosen.
            costs: Of layers; they go on learning.
        """
        self._costs = costs
        clusters = [sites for sites in fold_clusters(space) if len(sites) > 1]
        single = [site for site in space.sites if not any(site in sites for sites in clusters)]
        order = {layer: position for position, layer in enumerate(space.widths)}
        self.blocks: list[Block] = [_Independent(sites, costs) for sites in _together(single)]
        self.blocks += [_Overlapping(sites, order, costs) for sites in clusters]
        self._n_shared = 0
        self._known: dict[tuple[object, ...], Array] = {}

    def costs(self, position: int, choices: Choices) -> Array:
        """What the options of a block cost under the choices of all other sites, shape (options, scores)."""
        if self._costs.n_shared != self._n_shared or len(self._known) >= MAX_REMEMBERED:
            self._known, self._n_shared = {}, self._costs.n_shared
        block = self.blocks[position]
        key = (position, *map(choices.get, block.surroundings))
        if key not in self._known:
            self._known[key] = block.costs(choices)
        return self._known[key]


class _Independent:
    """One site, or those of one layer: what its parts cost depends on their bits."""

    def __init__(self, sites: Sequence[Site], costs: CostModel) -> None:
        self._sites, self._model = sites, costs
        names = [site.name for site in sites]
        self.options: Sequence[Choices] = [dict(zip(names, each, strict=True)) for each in _combinations(sites)]
        self.surroundings = _surroundings(sites, costs)

    def costs(self, choices: Choices) -> Array:
        """See `Block`."""
        return np.array([_cost(self._model, self._sites[0], {**choices, **option}) for option in self.options])

    def best(self, values: Array) -> Choices:
        """See `Block`."""
        return self.options[int(values.argmin())]


class _Overlapping:
    """Folds that share layers, so that not all of them can be: chosen exactly, by weighted interval scheduling."""

    def __init__(self, sites: Sequence[Site], order: Mapping[str, int], costs: CostModel) -> None:
        self._sites, self._model = sites, costs
        spans = sorted(
            (
                (max(places), min(places), site, choice)
                for site in sites
                for choice in site.choices[1:]
                for places in [[order[layer] for layer in site.touched(choice)]]
            ),
            key=lambda each: each[:2],
        )
        self._ends, self._starts = [end for end, *_ in spans], [start for _, start, *_ in spans]
        self._owners = [site for _, _, site, _ in spans]
        self._none = {site.name: site.neutral for site in sites}
        self.options: Sequence[Choices] = [{site.name: choice} for _, _, site, choice in spans]
        self.surroundings = _surroundings(sites, costs)

    def costs(self, choices: Choices) -> Array:
        """What each fold alone changes beside none of them, shape (folds, scores)."""
        off = {**choices, **self._none}
        plain = {site.name: _cost(self._model, site, off) for site in self._sites}
        pairs = zip(self._owners, self.options, strict=True)
        return np.array([_cost(self._model, site, {**off, **option}) - plain[site.name] for site, option in pairs])

    def best(self, values: Array) -> Choices:
        """The folds that together gain most (most negative) without sharing a layer; all others neutral."""
        # By how many of the folds, in the order of their ends, may be taken: the least sum, and what it takes.
        sums: list[tuple[float, Choices]] = [(0.0, {})]
        for position, (start, option) in enumerate(zip(self._starts, self.options, strict=True)):
            value, taken = sums[bisect.bisect_left(self._ends, start, 0, position)]
            with_it = value + float(values[position]), {**taken, **option}
            sums.append(min(sums[position], with_it, key=lambda each: each[0]))
        return {**self._none, **sums[-1][1]}


def _surroundings(sites: Sequence[Site], costs: CostModel) -> tuple[str, ...]:
    own = {site.name for site in sites}
    around = {name for site in sites for layer in costs.layers_under(site) for name in costs.sites_of(layer)}
    return tuple(sorted(around - own))


def _cost(costs: CostModel, site: Site, choices: Choices) -> Array:
    """What the layers under a site cost, as shares of the baseline's, shape (scores,)."""
    layers = [costs.shares(layer, choices) for layer in costs.layers_under(site)]
    return np.asarray(np.array(layers).reshape(len(layers), len(costs.scores)).sum(axis=0))


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
    """The sites one by one, but operator, rank and bits of one layer together.

    The rank comes first, or the operator: all layers that depend on the bits depend on it.
    """
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault(site.layer if site.technique in (*_REPLACING, "bits") else site.name, []).append(site)
    return [sorted(group, key=lambda site: site.technique, reverse=True) for group in groups.values()]
