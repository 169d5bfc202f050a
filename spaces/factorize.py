"""Low rank: a layer becomes several smaller ones, in the scheme and at the ranks that its site's choice names."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import fx

from ..hardware_profiles.profile import Capabilities
from .layer_parts import replace_by_parts
from .network import Layer, Network
from .rank_scheme import Source
from .rank_schemes import SCHEMES, factor_macs, factor_weights, rank_choice, split_layer
from .site import LeftAlone, Site
from .technique import Decisions, Found

MAX_CHOICES = 10
"""Rank choices per layer; of more, those nearest in weights to another are left out."""
CLEARLY_CHEAPER = 0.9
"""Share of another choice's weights and MACs below which a choice that loses no more energy makes it pointless."""


@dataclass(frozen=True, slots=True)
class Factorize:
    """Offers, per layer and scheme, the ranks that cost less than the layer itself.

    Attributes:
        has_cp: Offers CP too, whose components grow large against each other and destabilise fine-tuning.
    """

    has_cp: bool = False
    name: str = "rank"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer that has a cheaper factorisation on the grid."""
        sites, left_alone = [], []
        for layer in network.layers:
            reason = _obstacle(layer)
            choices = [] if reason else self._choices(layer, _source(network, layer.name), capabilities.channel_grid)
            if choices:
                notes = ("", *(choice.note for choice in choices))
                names = ("full", *(choice.name for choice in choices))
                sites.append(Site(f"{self.name}/{layer.name}", (layer.name,), names, notes=notes if any(notes) else ()))
            else:
                reason = reason or "no rank on the grid costs less than the layer"
                left_alone.append(LeftAlone(self.name, layer.name, reason))
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Replaces each decided layer by a sequence of its factors, each a node of the graph."""
        for name, choice in decisions.items():
            factorize_layer(module, name, str(choice), _source(network, name))
        if decisions:
            module.recompile()

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: the factors are what is deployed."""

    def _choices(self, layer: Layer, source: Source, grid: int) -> list[_Choice]:
        """What is worth offering, from many weights to few."""
        full = layer.in_channels * layer.out_channels // layer.groups * math.prod(layer.kernel_size)
        found = [
            _Choice(
                name := rank_choice(scheme, offer.ranks),
                factor_weights(name, layer.in_channels, layer.out_channels, layer.kernel_size),
                factor_macs(
                    name, layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.n_positions
                ),
                offer.lost_energy,
                offer.note,
            )
            for scheme in SCHEMES
            if (scheme != "cp" or self.has_cp) and SCHEMES[scheme].fits(source)
            for offer in SCHEMES[scheme].offers(source, grid)
        ]
        cheaper = [choice for choice in found if choice.n_weights < full]
        return _thinned([choice for choice in cheaper if not any(other.outdoes(choice) for other in cheaper)])


@dataclass(frozen=True, slots=True)
class _Choice:
    name: str
    n_weights: int
    macs: int
    lost_energy: float | None
    note: str

    def outdoes(self, other: _Choice) -> bool:
        """Whether nobody would take the other one: it costs clearly more and loses no less."""
        return (
            not other.note
            and self.lost_energy is not None
            and other.lost_energy is not None
            and self.lost_energy <= other.lost_energy
            and self.n_weights < CLEARLY_CHEAPER * other.n_weights
            and self.macs < CLEARLY_CHEAPER * other.macs
        )


def factorize_layer(module: fx.GraphModule, name: str, choice: str, original: Source | None = None) -> None:
    """Splits one layer of a graph in place into `name.0`, `name.1` and so on.

    Args:
        module: The graph; to be recompiled afterwards.
        name: Of a layer that it calls once.
        choice: Its rank.
        original: The same layer of the uncompressed network, for which factors that were computed once are remembered.

    Raises:
        SpaceError: The choice is no rank, or not one of such a layer.
    """
    layer = module.get_submodule(name)
    # Another technique may have been at the weights before.
    is_original = original is not None and torch.equal(original.weight, Source(layer).weight)
    factors = split_layer(layer, choice, original if is_original else None)
    replace_by_parts(module, name, factors)


def is_part_of(layer: str, original: str) -> bool:
    """Whether a layer of a compressed network is the original layer of that name or one of its parts."""
    parent, _, last = layer.rpartition(".")
    return layer == original or (parent == original and last.isdecimal())


def _source(network: Network, name: str) -> Source:
    return Source(network.module.get_submodule(name), network.input_moments.get(name))


def _obstacle(layer: Layer) -> str | None:
    """Why a layer is not factorised, or None where it may be."""
    if layer.n_calls > 1:
        return "its weight is used in several places"
    if layer.kind == "transposed":
        return "transposed convolutions are not factorised"
    if layer.is_depthwise:
        return "depthwise convolutions are not factorised"
    return None


def _thinned(choices: list[_Choice]) -> list[_Choice]:
    """At most `MAX_CHOICES`, from many weights to few: the one most like its heavier neighbour goes first."""
    choices = sorted(choices, key=lambda choice: (-choice.n_weights, choice.name))
    while len(choices) > MAX_CHOICES:
        ratios = {
            i: choices[i].n_weights / choices[i - 1].n_weights for i in range(1, len(choices)) if not choices[i].note
        }
        del choices[max(ratios, key=ratios.__getitem__)]
    return choices
