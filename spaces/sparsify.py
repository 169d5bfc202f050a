"""How many of a layer's weights are zero: a choice of the file that is kept, as runtimes compute with zeros too."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from ..hardware_profiles.profile import Capabilities
from .encode import storage_sites
from .graph import is_layer
from .network import Network
from .quantize import decided_layers
from .technique import Decisions, Found

PERCENTAGES = (0, 50, 70, 80, 90, 95)
"""Shares of removed weights that are offered."""


@dataclass(frozen=True, slots=True)
class Sparsify:
    """Offers to remove the smallest weights of a layer, one by one.

    A storage technique: latency and the runtime's file stay as they are.
    """

    name: str = "sparsity"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer; the reason for each that has none."""
        return storage_sites(self.name, network, PERCENTAGES)

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Sets the weights of least magnitude to zero; a training has to hold them there."""
        with torch.no_grad():
            for name, percent in decided_layers(module, decisions):
                layer = module.get_submodule(name)
                assert is_layer(layer)
                layer.weight.masked_fill_(smallest(layer.weight, int(percent)), 0.0)

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: zeros stay zero behind a folded BatchNorm."""


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


def largest(magnitudes: Tensor, n: int) -> Tensor:
    """Which numbers are the n largest, of equal ones the first; boolean, in their shape."""
    # Sorted stably, so that equal magnitudes give the same mask everywhere.
    order = magnitudes.flatten().argsort(descending=True, stable=True)
    found = torch.zeros(magnitudes.numel(), dtype=torch.bool, device=magnitudes.device)
    found[order[:n]] = True
    return found.reshape(magnitudes.shape)
