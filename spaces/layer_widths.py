"""How many channels each layer has under the pruning choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .network import Layer, Network
from .site import Choice, Site


@dataclass(frozen=True, slots=True)
class LayerWidths:
    """Which pruning sites set a layer's channels.

    Attributes:
        layer: The layer.
        inputs: The sites behind its inputs (several where they are concatenated), each with its full width and the
            number of the layer's inputs that it sets.
        output: The site of its outputs with its full width; None where their number is fixed.
    """

    layer: Layer
    inputs: tuple[tuple[str, int, int], ...] = ()
    output: tuple[str, int] | None = None

    @property
    def output_site(self) -> str | None:
        """The site of its outputs; None where their number is fixed."""
        return self.output[0] if self.output else None

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites that set its channels."""
        names = (site for site, *_ in self.inputs)
        return (*names, self.output[0]) if self.output else tuple(names)

    def under(self, choices: Mapping[str, Choice]) -> tuple[int, int]:
        """Input and output channels of the layer under those choices."""
        inner = self.layer.in_channels
        for site, full, n in self.inputs:
            inner -= n * (full - int(choices.get(site, full))) // full
        if self.layer.is_depthwise:  # its outputs are its inputs, which may be several sites' side by side
            return inner, self.layer.out_channels * inner // self.layer.in_channels
        if self.output is None:
            return inner, self.layer.out_channels
        site, full = self.output
        return inner, self.layer.out_channels * int(choices.get(site, full)) // full

    def weights_under(self, choices: Mapping[str, Choice]) -> int:
        """Weights of the layer under those choices; a depthwise convolution keeps one input per group."""
        inner, outer = self.under(choices)
        per_group = 1 if self.layer.is_depthwise else inner // self.layer.groups
        return math.prod(self.layer.kernel_size) * per_group * outer


def layer_widths(network: Network, sites: tuple[Site, ...]) -> dict[str, LayerWidths]:
    """The channels of every layer of a network, by layer name."""
    widths = {layer.name: LayerWidths(layer) for layer in network.layers}
    offered = {site.layer for site in sites if site.technique == "prune"}
    for group in network.channels.groups:
        if group.name not in offered:
            continue
        site, full = f"prune/{group.name}", group.width
        read = dict((*group.consumers, *group.followers))
        made = dict.fromkeys((*group.producers, *dict(group.followers)), (site, full))
        widths |= {name: replace(widths[name], output=output) for name, output in made.items()}
        widths |= {
            name: replace(widths[name], inputs=(*widths[name].inputs, (site, full, n))) for name, n in read.items()
        }
    return widths
