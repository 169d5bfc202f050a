"""What each choice destroys, judged from the weights alone: no data, no runs, a fraction of a second.

A prior for seeding and screening. Its scale is fitted to the accuracies that the search observes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..spaces import Choice, Network, SearchSpace, Site
from ..spaces.channel_groups import channel_importances, find_channel_groups
from ..spaces.factorize import SCHEMES, parse_rank, singular_energy
from ..spaces.quantize import quantize_weight

Damages = Mapping[str, Mapping[Choice, float]]
"""Damage between 0 (nothing lost) and 1 (everything) by site and choice."""


def site_damages(network: Network, space: SearchSpace) -> Damages:
    """Share of what a site holds that each of its choices gives up.

    Pruning: importance of the removed channels. Rank: energy (σ²) of the dropped singular values. Bits: squared error
    of the rounded weights over their energy. Folding gives up one activation: 1.
    """
    groups = channel_importances(network, find_channel_groups(network))
    return {site.name: _damages_of(site, network, groups) for site in space.sites}


def _damages_of(site: Site, network: Network, groups: Mapping[str, Tensor]) -> dict[Choice, float]:
    if site.technique == "prune":
        lost = groups[site.layer].sort().values.cumsum(0) / groups[site.layer].sum()
        width = len(lost)
        return {choice: 0.0 if choice == width else float(lost[width - int(choice) - 1]) for choice in site.choices}
    if site.technique == "fold":
        return {choice: float(choice == "on") for choice in site.choices}
    weight = network.module.get_submodule(site.layer).weight
    assert isinstance(weight, Tensor)
    weight = weight.detach()
    if site.technique == "rank":
        return {site.neutral: 0.0, **_lost_energies(weight, [str(choice) for choice in site.choices[1:]])}
    return {choice: 0.0 if choice == site.neutral else _rounding_error(weight) for choice in site.choices}


def _lost_energies(weight: Tensor, choices: list[str]) -> dict[Choice, float]:
    energies = {scheme: singular_energy(SCHEMES[scheme].as_matrix(weight)) for scheme, _ in map(parse_rank, choices)}
    return {
        choice: float(energies[scheme][rank:].sum() / energies[scheme].sum())
        for choice in choices
        for scheme, rank in [parse_rank(choice)]
    }


def _rounding_error(weight: Tensor) -> float:
    scale = torch.tensor(quantize_weight(weight).scale).reshape(-1, *[1] * (weight.dim() - 1))
    rounded = (weight / scale).round().clamp(-127, 127) * scale
    return float((rounded - weight).square().sum() / weight.square().sum())
