"""Layer folding: an activation becomes linear, and the two layers around it merge into one.

The padding of both layers is moved to the first before training, because zero padding between them would make the merge
wrong at the borders (METHODS section 6).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.profile import Capabilities
from .chain import Chain, find_chain, find_shortcut, merged_padding, merged_stride
from .merge import absorb_shortcut, merge_pair
from .network import ACTIVATIONS, Network, module_of, replace_module
from .site import LeftAlone, Site
from .technique import Decisions, Found

_MAYBE_IN_PLACE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Hardswish)


class LinearisedActivation(nn.Module):
    """`alpha * x + (1 - alpha) * activation(x)`: the activation at 0, the identity at 1."""

    alpha: Tensor

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = copy.deepcopy(activation)
        if isinstance(self.activation, _MAYBE_IN_PLACE):
            self.activation.inplace = False  # it would overwrite the x of `alpha * x`
        self.register_buffer("alpha", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return torch.lerp(self.activation(x), x, self.alpha)


def set_linearity(module: nn.Module, alpha: float) -> None:
    """Sets α of every linearised activation of a prepared network, between 0 (as it was) and 1 (linear)."""
    for submodule in module.modules():
        if isinstance(submodule, LinearisedActivation):
            submodule.alpha.fill_(alpha)


def merge_linear_pairs(module: fx.GraphModule) -> bool:
    """Merges, in place, every pair of layers whose activation became linear (α = 1); BatchNorm behind it stays.

    Called when α has reached 1, it makes the rest of a training cheaper; `finish` calls it in any case.

    Returns:
        Whether there was any.
    """
    linearised = [n for n in module.graph.nodes if isinstance(module_of(module, n), LinearisedActivation)]
    for node in linearised:
        chain = find_chain(module, node)
        assert not isinstance(chain, str), chain
        merge_pair(module, chain)
    if linearised:
        module.recompile()
        module.delete_all_unused_submodules()
    return bool(linearised)


@dataclass(frozen=True, slots=True)
class Fold:
    """Offers to merge two layers around an activation, with the shortcut around them where there is one."""

    name: str = "fold"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per activation between two layers that nothing else reads."""
        sites, left_alone = [], []
        for node in network.module.graph.nodes:
            if not isinstance(module_of(network.module, node), ACTIVATIONS):
                continue
            chain = find_chain(network.module, node)
            if isinstance(chain, str):
                left_alone.append(LeftAlone(self.name, str(node.target), chain))
                continue
            sites.append(
                Site(f"{self.name}/{chain.first.target}", _merged_layers(network.module, chain), ("off", "on"))
            )
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Makes the activation linearisable and moves the padding of both layers to the first."""
        for chain in _chains_of(module, decisions):
            activation = module.get_submodule(str(chain.activation.target))
            replace_module(module, str(chain.activation.target), LinearisedActivation(activation))
            first, second = module_of(module, chain.first), module_of(module, chain.second)
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d):
                replace_module(module, str(chain.first.target), _with_padding(first, merged_padding(first, second)))
                replace_module(module, str(chain.second.target), _with_padding(second, (0, 0)))

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Merges every linearised pair into its first layer, with the shortcut around it."""
        merge_linear_pairs(module)
        for node in list(module.graph.nodes):
            layer = module_of(module, node)
            if decisions.get(str(node.target)) == "on" and isinstance(layer, nn.Conv2d):
                stride = (layer.stride[0], layer.stride[1])
                shortcut = find_shortcut(module, node, node.all_input_nodes[0], layer.in_channels, stride)
                if shortcut is not None:
                    absorb_shortcut(module, node, shortcut)
        module.recompile()
        module.delete_all_unused_submodules()


def _merged_layers(module: fx.GraphModule, chain: Chain) -> tuple[str, ...]:
    """The layers that one merged layer replaces; an absorbed projection comes last."""
    pair = (str(chain.first.target), str(chain.second.target))
    first, second = module_of(module, chain.first), module_of(module, chain.second)
    if not isinstance(first, nn.Conv2d) or not isinstance(second, nn.Conv2d):
        return pair
    source, stride = chain.first.all_input_nodes[0], merged_stride(first, second)
    shortcut = find_shortcut(module, chain.second, source, first.in_channels, stride)
    return pair if shortcut is None or shortcut.projection is None else (*pair, str(shortcut.projection.target))


def _chains_of(module: fx.GraphModule, decisions: Decisions) -> list[Chain]:
    """The chains that start at the decided layers."""
    chains = []
    for node in list(module.graph.nodes):
        if isinstance(module_of(module, node), ACTIVATIONS):
            chain = find_chain(module, node)
            if isinstance(chain, Chain) and decisions.get(str(chain.first.target)) == "on":
                chains.append(chain)
    return chains


def _with_padding(conv: nn.Conv2d, padding: tuple[int, int]) -> nn.Conv2d:
    kernel, stride = (conv.kernel_size[0], conv.kernel_size[1]), (conv.stride[0], conv.stride[1])
    moved = nn.Conv2d(conv.in_channels, conv.out_channels, kernel, stride, padding, bias=conv.bias is not None)
    moved.weight, moved.bias = conv.weight, conv.bias
    return moved.train(conv.training)
