"""Where a network must round while it is trained, so that it rounds as the deployed network will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import fx

from .compress import merge, norm_behind
from .configuration import Configuration
from .graph import module_of
from .merge import folded_parameters
from .quantize import Quantize, decided_layers
from .quantized_values import quantized_values


@dataclass(frozen=True, slots=True)
class RoundingPoints:
    """The layers and the values that are in 8 bits.

    Attributes:
        layers: Names of layers whose weight is rounded.
        values: Names of nodes of the trained network, whose values are rounded, by the values' names in the plan of the
            finished one.
    """

    layers: tuple[str, ...]
    values: Mapping[str, str]


def rounding_points(module: fx.GraphModule, configuration: Configuration) -> RoundingPoints:
    """Looks at what `finish` would make of a network.

    A layer that is still to take in a shortcut has another weight in the end; it, and what it gives, stay in float.

    Args:
        module: From `prepare`, its linear segments merged; not touched.
        configuration: The one it was prepared with.
    """
    merged = merge(module, configuration)
    prefix = f"{Quantize().name}/"
    decisions = {
        site.removeprefix(prefix): choice
        for site, choice in configuration.items()
        if site.startswith(prefix) and choice == 8
    }
    nodes = {node.name: node for node in module.graph.nodes}
    names = [name for name, _ in decided_layers(merged, decisions)]
    changed = {name for name in names if _is_changed(module, merged, name)}
    values = {}
    for source in set(quantized_values(merged, set(names)).values()):
        if source.name in nodes and str(source.target) not in changed:
            trained = nodes[source.name]
            values[f"{source.name}.value"] = (norm_behind(module, trained) or trained).name
    return RoundingPoints(tuple(name for name in names if name not in changed), dict(sorted(values.items())))


def _is_changed(module: fx.GraphModule, merged: fx.GraphModule, name: str) -> bool:
    """Whether more is done to a layer's weight than that its BatchNorm is folded."""
    node = next(node for node in module.graph.nodes if node.op == "call_module" and node.target == name)
    weight, _ = folded_parameters(module.get_submodule(name), module_of(module, norm_behind(module, node)))
    final = merged.get_submodule(name).weight
    assert isinstance(final, torch.Tensor)
    return final.shape != weight.shape or not torch.equal(final, weight.to(final.dtype))
