"""How many of a layer's weights are zero: mostly a choice of the file that is kept, as runtimes compute with zeros too.

Where the hardware's runtime executes the other weights alone, in linear layers, it is one of latency and size as well.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.profile import Capabilities
from .encode import storage_sites
from .graph import is_layer, n_calls
from .network import Layer, Network
from .quantize import decided_layers
from .site import LeftAlone, Site
from .technique import Decisions, Found

PERCENTAGES = (0, 50, 70, 80, 90, 95)
"""Shares of removed weights that are offered."""
LEAST_EXECUTED = 1 << 18
"""Weights of a linear layer, 512 x 512, from which on skipping its zeros is faster than computing with them."""


@dataclass(frozen=True, slots=True)
class Sparsify:
    """Offers to remove the smallest weights of a layer, one by one.

    Attributes:
        is_stored: Whether the network's storage counts; else only what the hardware executes is offered.
    """

    name: str = "sparsity"
    is_stored: bool = True

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer; the reason for each that has none."""
        if self.is_stored:
            return storage_sites(self.name, network, PERCENTAGES)
        choices = (0, *(percent for percent in PERCENTAGES if suffices(percent, capabilities.sparse_density)))
        reasons = {layer.name: _reason_against(layer) for layer in network.layers}
        sites = (Site(f"{self.name}/{name}", (name,), choices) for name, reason in reasons.items() if not reason)
        left_alone = (LeftAlone(self.name, name, reason) for name, reason in reasons.items() if reason)
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Sets the weights of least magnitude to zero; a training has to hold them there."""
        with torch.no_grad():
            for name, percent in decided_layers(module, decisions):
                layer = module.get_submodule(name)
                assert is_layer(layer)
                layer.weight.masked_fill_(smallest(layer.weight, int(percent)), 0.0)

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: zeros stay zero behind a folded BatchNorm."""


def suffices(percent: int, sparse_density: float) -> bool:
    """Whether so many zeros are skipped by hardware that does so up to a density, see `Capabilities`."""
    return 0 < 100 - percent <= 100 * sparse_density + 1e-9  # 100 * 0.3 is not 30


def executed_density(n_weights: int, percent: int, sparse_density: float) -> float:
    """Share of a linear layer's weights that hardware executes, in float32.

    Args:
        n_weights: Of the layer.
        percent: Of these that are zero.
        sparse_density: See `Capabilities`.
    """
    is_sparse = n_weights >= LEAST_EXECUTED and suffices(percent, sparse_density)
    return 1 - percent / 100 if is_sparse else 1.0


def sparse_layers(
    module: fx.GraphModule, decisions: Decisions, sparse_density: float, in_few_bits: Collection[str] = ()
) -> tuple[str, ...]:
    """The decided linear layers of a finished network whose zeros are skipped, and factors likewise.

    Args:
        module: The network.
        decisions: Percent by original layer name.
        sparse_density: See `Capabilities`; 0 for hardware that skips none.
        in_few_bits: Layers that are executed otherwise.
    """
    if not sparse_density:
        return ()
    percentages = dict(decided_layers(module, decisions))
    calls = [node for node in module.graph.nodes if node.op == "call_module" and node.target in percentages]
    names = [str(node.target) for node in calls if n_calls(module, node) == 1 and node.target not in in_few_bits]
    return tuple(name for name in names if _is_sparse(module, name, int(percentages[name]), sparse_density))


def _is_sparse(module: nn.Module, name: str, percent: int, sparse_density: float) -> bool:
    layer = module.get_submodule(name)
    if type(layer) is not nn.Linear or executed_density(layer.weight.numel(), percent, sparse_density) == 1:
        return False
    # Counted, too: what came behind may have filled the zeros.
    return int(layer.weight.count_nonzero()) <= math.ceil(sparse_density * layer.weight.numel())


def _reason_against(layer: Layer) -> str:
    """Why the zeros of a layer are computed with."""
    if layer.kind != "linear":
        return "the runtime skips the zeros of linear layers only"
    if layer.n_calls > 1:
        return "it is called in several places"
    n_weights = layer.in_channels * layer.out_channels
    few = f"it has {n_weights} weights, of {LEAST_EXECUTED} on their zeros are worth skipping"
    return few if n_weights < LEAST_EXECUTED else ""


def smallest(weight: Tensor, percent: int) -> Tensor:
    """Which weights are the given share of least magnitude, at least one staying; of equal ones the first stay.

    Args:
        weight: Any shape.
        percent: Share that is removed.

    Returns:
        Boolean, shape of the weight.
    """
    n_kept = max(1, weight.numel() - round(weight.numel() * percent / 100))
    return ~largest(weight.detach().abs(), n_kept)


def without_smallest(weight: Tensor, percent: int) -> Tensor:
    """A weight whose entries of least magnitude are 0, see `smallest`."""
    return weight.masked_fill(smallest(weight, percent), 0.0)


def largest(magnitudes: Tensor, n: int) -> Tensor:
    """Which numbers are the n largest, of equal ones the first; boolean, in their shape."""
    # Sorted stably, so that equal magnitudes give the same mask everywhere.
    order = magnitudes.flatten().argsort(descending=True, stable=True)
    found = torch.zeros(magnitudes.numel(), dtype=torch.bool, device=magnitudes.device)
    found[order[:n]] = True
    return found.reshape(magnitudes.shape)
