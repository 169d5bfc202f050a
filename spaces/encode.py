"""How few bits a layer's weights are stored in: a choice of the file that is kept, not of what a runtime executes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import fx

from ..hardware_profiles.profile import Capabilities
from ..packing import StoredWeight
from .graph import is_layer
from .network import Layer, Network
from .quantize import decided_layers
from .site import LeftAlone, Site
from .technique import Decisions, Found
from .weight_codes import CODES, FULL, code_weight, stored_bits, ties_of

Stored = Mapping[str, StoredWeight]
"""What is stored of weights in few bits, by layer."""

LEAST_WEIGHTS = 256
"""Of a layer that is offered: below, its codebook and its part of the header take what the bits save."""


@dataclass(frozen=True, slots=True)
class Encode:
    """Offers shared weights (`clusters:b`) and evenly spaced levels (`uniform:b`) to every layer that is called once.

    A storage technique: latency and the runtime's file stay as they are.

    Attributes:
        has_ties: Offers tied filters (`flips:n`) and circulant blocks (`circulant:b`) too.
    """

    has_ties: bool = False
    name: str = "code"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer; the reason for each that has none."""
        found = storage_sites(self.name, network, (FULL, *CODES))
        transposed = {layer.name for layer in network.layers if layer.kind == "transposed"}
        reason = "the weight of a transposed convolution has its output channels on another axis"
        more = tuple(LeftAlone(self.name, site.layer, reason) for site in found.sites if site.layer in transposed)
        sites = tuple(
            replace(site, choices=self._choices(network.layer(site.layer)))
            for site in found.sites
            if site.layer not in transposed
        )
        return Found(sites, (*found.left_alone, *more))

    def _choices(self, layer: Layer) -> tuple[str, ...]:
        """From many bits to few."""
        ties = ties_of(layer) if self.has_ties else ()
        return (FULL, *sorted((*ties, *CODES), key=stored_bits, reverse=True))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Nothing to do: a training begins with the weights as they are, and codes them on its way."""

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing to do: `encode_layers` comes first, as what it gives has to follow the BatchNorms into the layers."""


def storage_sites(technique: str, network: Network, choices: tuple[int | str, ...]) -> Found:
    """A site for every layer with weights enough; a layer that is called in several places is one too."""
    sites, left_alone = [], []
    for layer in network.layers:
        n_weights = _n_weights(network, layer)
        if n_weights < LEAST_WEIGHTS:
            reason = f"it has {n_weights} weights, of {LEAST_WEIGHTS} on their storage is worth a decision"
            left_alone.append(LeftAlone(technique, layer.name, reason))
        else:
            sites.append(Site(f"{technique}/{layer.name}", (layer.name,), choices))
    return Found(tuple(sites), tuple(left_alone))


def encode_layers(module: fx.GraphModule, decisions: Decisions, known: Collection[str] = ()) -> dict[str, StoredWeight]:
    """Gives the decided layers, in place, the weights that their codes have, and returns these by layer.

    Args:
        module: A network from `prepare`, or finished.
        decisions: Codes by original layer name; the factors of a layer have its code.
        known: Layers that have their codes already.
    """
    found: dict[str, StoredWeight] = {}
    for name, choice in decided_layers(module, decisions):
        if name in known:
            continue
        found[name] = code_weight(module.get_submodule(name).weight, str(choice))  # type: ignore[arg-type]  # a layer's
    put_stored(module, found)
    return found


def put_stored(module: fx.GraphModule, stored: Stored) -> None:
    """Sets weights, in place, to what their codes decode to."""
    with torch.no_grad():
        for name, coded in stored.items():
            layer = module.get_submodule(name)
            assert is_layer(layer)
            layer.weight.copy_(coded.decode())


def _n_weights(network: Network, layer: Layer) -> int:
    weight = network.module.get_submodule(layer.name).weight
    assert isinstance(weight, torch.Tensor)
    return weight.numel()
