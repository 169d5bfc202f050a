"""What each choice destroys, judged from the weights alone: no data, no runs, a fraction of a second.

A prior for seeding and screening. Its scale is fitted to the accuracies that the search observes.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..spaces import Choice, Network, SearchSpace, Site
from ..spaces.channel_removal import removal_costs
from ..spaces.fold import n_folded
from ..spaces.quantize import round_weight
from ..spaces.rank_scheme import Source
from ..spaces.rank_schemes import lost_energies

Damages = Mapping[str, Mapping[Choice, float]]
"""Damage between 0 (nothing lost) and 1 (everything) by site and choice."""


def site_damages(network: Network, space: SearchSpace) -> Damages:
    """Share of what a site holds that each of its choices gives up.

    Pruning: importance of the removed channels. Rank: energy (σ²) that the factors lose. Bits: squared error
    of the rounded weights over their energy. Folding: activations given up, over the most that one site can give up.
    """
    groups = network.channels.groups
    worth = removal_costs(network, groups)
    steps = {group.name: (worth[group.name], group.step) for group in groups}
    most_folded = max((n_folded(site.choices[-1]) for site in space.sites if site.technique == "fold"), default=1)
    return {
        site.name: {choice: n_folded(choice) / most_folded for choice in site.choices}
        if site.technique == "fold"
        else _damages_of(site, network, steps)
        for site in space.sites
    }


def _damages_of(site: Site, network: Network, steps: Mapping[str, tuple[Tensor, int]]) -> dict[Choice, float]:
    if site.technique == "prune":
        worth, step = steps[site.layer]
        kept = {choice: int(choice) // step for choice in site.choices}
        return {choice: float(worth[: len(worth) - n].sum() / worth.sum()) for choice, n in kept.items()}
    source = Source(network.module.get_submodule(site.layer), network.input_moments.get(site.layer))
    if site.technique == "rank":
        return {site.neutral: 0.0, **lost_energies(source, [str(choice) for choice in site.choices[1:]])}
    weight = source.weight.detach()
    return {choice: 0.0 if choice == site.neutral else _rounding_error(weight, choice) for choice in site.choices}


def _rounding_error(weight: Tensor, choice: Choice) -> float:
    rounded = round_weight(weight, choice)
    return float((rounded - weight).square().sum() / weight.square().sum())
