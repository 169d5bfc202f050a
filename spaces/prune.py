"""Structured pruning: whole dependency groups of channels are removed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from ..hardware_profiles.profile import Capabilities
from .channel_follower import follow_channels
from .channel_groups import ChannelGroup
from .channel_removal import prune_channels, unprunable
from .layer_parts import SideBySide, share_among_parts
from .network import Network
from .site import LeftAlone, Site
from .technique import Decisions, Found

MAX_WIDTHS = 8
"""Widths offered per group: eighths of the full width, like the steps people take by hand."""


@dataclass(frozen=True, slots=True)
class Prune:
    """Offers widths on the profile's channel grid for every group of coupled channels."""

    name: str = "prune"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per group; left alone are outputs and groups narrower than two steps of the grid."""
        channels = network.channels
        called_once = {layer.name for layer in network.layers if layer.n_calls == 1}
        sites, left_alone = [], []
        for group in channels.groups:
            widths = grid_widths(group.width, math.lcm(capabilities.channel_grid, group.step))
            if len(widths) == 1 and group.step > 1:  # many groups or heads: their number is what the hardware sees
                widths = grid_widths(group.width, group.step)
            shared = [name for name in _members(group) if name not in called_once]
            if shared:
                reason = f"{shared[0]} is called in several places, or its weight is tied"
                left_alone += [LeftAlone(self.name, name, reason) for name in group.producers]
            elif len(widths) > 1:
                sites.append(Site(f"{self.name}/{group.name}", group.producers, widths))
            else:
                reason = f"its {group.width} channels leave no smaller width on a grid of {capabilities.channel_grid}"
                left_alone += [LeftAlone(self.name, name, reason) for name in group.producers]
        broken = unprunable(network, {site.layer: int(site.choices[-1]) for site in sites})
        for site in sites:
            if site.layer in broken:
                reason = f"pruning it fails: {broken[site.layer]}"
                left_alone += [LeftAlone(self.name, name, reason) for name in site.layers]
        left_alone += [LeftAlone(self.name, name, reason) for name, reason in channels.fixed.items()]
        left_alone += [
            LeftAlone(self.name, layer.name, "it is depthwise: its channels follow those of the layer before it")
            for layer in network.layers
            if layer.is_depthwise
        ]
        return Found(tuple(site for site in sites if site.layer not in broken), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Removes the least important channels of each decided group."""
        prune_groups(module, decisions, network)

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: the channels are gone already."""


def prune_groups(
    module: fx.GraphModule, decisions: Decisions, network: Network, likewise: Sequence[fx.GraphModule] = ()
) -> None:
    """Removes, in place, the least important channels of each decided group.

    Args:
        module: The network after the techniques before this one.
        decisions: Widths by the layer that names the group.
        network: The original.
        likewise: Modules of the same structure that lose the same channels, whatever their weights.
    """
    if decisions:
        widths, kept = _widths_of_parts(module, decisions, network)
        known: dict[str, Tensor] = {}
        for name, scores in network.importances.items():
            shares = share_among_parts(module, name, len(scores))
            known |= dict(zip(shares, torch.split(scores, list(shares.values())), strict=True))
        is_as_traced = module.code == network.module.code
        channels = network.follower.map if is_as_traced else follow_channels(module, network.example_inputs)
        prune_channels(module, channels, widths, known, likewise, kept)


def _widths_of_parts(
    module: fx.GraphModule, decisions: Decisions, network: Network
) -> tuple[dict[str, int], dict[str, int]]:
    """The widths by layers of the module, and what layers side by side keep.

    Each of these keeps its share, so that sizes follow from the widths alone. Where other layers make the same
    channels, theirs is the whole width; where none does, each is a group of its own.
    """
    beside = {name for name, each in module.named_modules() if isinstance(each, SideBySide)}
    groups = {group.name: group for group in network.channels.groups}
    widths: dict[str, int] = {}
    kept: dict[str, int] = {}
    for name, width in decisions.items():
        producers = groups[name].producers if name in groups else (name,)
        whole = next((each for each in producers if each not in beside), name)
        widths |= share_among_parts(module, whole, int(width))
        for each in beside.intersection(producers):
            kept |= share_among_parts(module, each, int(width))
    return widths, kept


def _members(group: ChannelGroup) -> list[str]:
    return [*group.producers, *(name for name, _ in (*group.consumers, *group.followers))]


def grid_widths(width: int, grid: int) -> tuple[int, ...]:
    """The full width, then multiples of the grid near the eighths below it, from wide to narrow.

    Args:
        width: Channels of the uncompressed group.
        grid: Multiples that the hardware rewards; choices that round to the same width are one.
    """
    rounded = {max(grid, round(width * eighths / MAX_WIDTHS / grid) * grid) for eighths in range(1, MAX_WIDTHS)}
    return (width, *sorted((candidate for candidate in rounded if candidate < width), reverse=True))
