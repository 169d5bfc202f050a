"""What each choice destroys, judged from the weights alone: no data, no runs, a fraction of a second.

A prior for seeding and screening. Its scale is fitted to the accuracies that the search observes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ..spaces import Choice, Network, SearchSpace, Site
from ..spaces.channel_removal import removal_costs
from ..spaces.fold import n_folded
from ..spaces.quantize import round_weight
from ..spaces.rank_scheme import Source
from ..spaces.rank_schemes import lost_energies
from ..spaces.sparsify import without_smallest
from ..spaces.substitute import operator_losses
from ..spaces.weight_codes import code_weight

Damages = Mapping[str, Mapping[Choice, float]]
"""Damage between 0 (nothing lost) and 1 (everything) by site and choice."""


def site_damages(network: Network, space: SearchSpace) -> Damages:
    """Share of what a site holds that each of its choices gives up.

    Pruning: importance of the removed channels. Operators and ranks: energy that their parts lose. Bits, codes and
    zeros: squared error of the weights over their energy. Folding: activations given up, over the most of one site.
    """
    groups = network.channels.groups
    worth = removal_costs(network, groups)
    steps = {group.name: (worth[group.name], group.step) for group in groups}
    most_folded = max((n_folded(site.choices[-1]) for site in space.sites if site.technique == "fold"), default=1)
    damages_of: Mapping[str, Callable[[Site], Mapping[Choice, float]]] = {
        "fold": lambda site: {choice: n_folded(choice) / most_folded for choice in site.choices},
        "prune": lambda site: _removed_importance(site, *steps[site.layer]),
        "operator": lambda site: _missed_outputs(site, network),
        "rank": lambda site: _lost_energies(site, network),
        "bits": lambda site: _weight_errors(site, network, round_weight),
        "sparsity": lambda site: _weight_errors(
            site, network, lambda weight, choice: without_smallest(weight, int(choice))
        ),
        "code": lambda site: _weight_errors(
            site, network, lambda weight, choice: code_weight(weight, str(choice)).decode()
        ),
    }
    return {site.name: damages_of[site.technique](site) for site in space.sites}


def _removed_importance(site: Site, worth: Tensor, step: int) -> dict[Choice, float]:
    kept = {choice: int(choice) // step for choice in site.choices}
    return {choice: float(worth[: len(worth) - n].sum() / worth.sum()) for choice, n in kept.items()}


def _lost_energies(site: Site, network: Network) -> dict[Choice, float]:
    source = Source(network.module.get_submodule(site.layer), network.input_moments.get(site.layer))
    return {site.neutral: 0.0, **lost_energies(source, [str(choice) for choice in site.choices[1:]])}


def _missed_outputs(site: Site, network: Network) -> dict[Choice, float]:
    layer, moment = network.module.get_submodule(site.layer), network.patch_moments.get(site.layer)
    return {site.neutral: 0.0, **operator_losses(layer, moment, site.choices[1:])}


def _weight_errors(site: Site, network: Network, change: Callable[[Tensor, Choice], Tensor]) -> dict[Choice, float]:
    """Squared errors of the changed weights, as shares of their energy."""
    weight = Source(network.module.get_submodule(site.layer)).weight.detach()
    energy = float(weight.square().sum())
    changed = {choice: change(weight, choice) for choice in site.choices if choice != site.neutral}
    errors = {choice: float((each - weight).square().sum()) / energy for choice, each in changed.items()}
    return {site.neutral: 0.0, **errors}
