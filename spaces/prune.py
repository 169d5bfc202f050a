"""Structured pruning: whole dependency groups of channels are removed."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from ..hardware_profiles.profile import Capabilities
from .channel_groups import find_channel_groups, prune_channels
from .factorize import last_factor
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
        groups = find_channel_groups(network)
        sites, left_alone = [], []
        for group in groups:
            widths = grid_widths(group.width, capabilities.channel_grid)
            if len(widths) > 1:
                sites.append(Site(f"{self.name}/{group.name}", group.producers, widths))
            else:
                reason = f"its {group.width} channels leave no smaller width on a grid of {capabilities.channel_grid}"
                left_alone.append(LeftAlone(self.name, group.name, reason))
        broken = _broken(network, sites)
        left_alone += [
            LeftAlone(self.name, site.layer, f"pruning it fails: {reason}") for site, reason in broken.items()
        ]
        sites = [site for site in sites if site not in broken]
        grouped = {name for group in groups for name in group.producers}
        for layer in network.layers:
            if layer.name in network.output_layers:
                left_alone.append(LeftAlone(self.name, layer.name, "its channels are the model's outputs"))
            elif layer.name not in grouped:
                left_alone.append(
                    LeftAlone(self.name, layer.name, "its channels are coupled to something that cannot shrink")
                )
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Removes the least important channels of each decided group."""
        if decisions:
            roots = {last_factor(module, name): int(width) for name, width in decisions.items()}
            prune_channels(module, network.example_inputs, roots)

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: the channels are gone already."""


def _broken(network: Network, sites: list[Site]) -> dict[Site, str]:
    """The sites at whose narrowest width the network no longer runs, with what it says.

    torch-pruning does not see through every operation, and a forward may spell sizes out.
    """
    if not _failure(network, sites):
        return {}
    return {site: reason for site in sites if (reason := _failure(network, [site]))}


def _failure(network: Network, sites: list[Site]) -> str:
    module = copy.deepcopy(network.module)
    try:
        with torch.no_grad():
            expected = module(*network.example_inputs).shape
            prune_channels(module, network.example_inputs, {site.layer: int(site.choices[-1]) for site in sites})
            actual = module(*network.example_inputs).shape
    except Exception as error:  # whatever breaks here would break every trial
        return " ".join(str(error).split())
    return "" if actual == expected else f"the outputs' shape becomes {tuple(actual)}"


def grid_widths(width: int, grid: int) -> tuple[int, ...]:
    """The full width, then multiples of the grid near the eighths below it, from wide to narrow.

    Args:
        width: Channels of the uncompressed group.
        grid: Multiples that the hardware rewards; choices that round to the same width are one.
    """
    rounded = {max(grid, round(width * eighths / MAX_WIDTHS / grid) * grid) for eighths in range(1, MAX_WIDTHS)}
    return (width, *sorted((candidate for candidate in rounded if candidate < width), reverse=True))
