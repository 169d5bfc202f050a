"""Layer folding: an activation becomes linear, and the two layers around it merge into one.

Source: METHODS section 6. The padding of both layers is moved to the first before training, because zero padding
between them would make the merge wrong at the borders.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..hardware_profiles.profile import Capabilities
from .network import ACTIVATIONS, Network, is_addition, is_layer, module_of, n_calls, only_user, replace_module
from .site import LeftAlone, Site
from .technique import Decisions, Found

MAX_KERNEL = 5
"""Largest merged kernel that is offered: beyond it the merged layer costs more than the two."""


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


@dataclass(frozen=True, slots=True)
class Chain:
    """layer → [BN] → activation → layer → [BN] → [+ shortcut], as nodes of one graph.

    Attributes:
        end: The node whose value the merged layer produces.
        shortcut: The chain's input (identity), a 1 x 1 layer that reads it (projection), or None.
        shortcut_norm: BatchNorm of a projection.
    """

    first: fx.Node
    first_norm: fx.Node | None
    activation: fx.Node
    second: fx.Node
    second_norm: fx.Node | None
    end: fx.Node
    shortcut: fx.Node | None = None
    shortcut_norm: fx.Node | None = None


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

    def prepare(self, module: fx.GraphModule, decisions: Decisions, example_input: Tensor) -> None:
        """Makes the activation linearisable and moves the padding of both layers to the first."""
        for chain in _chains_of(module, decisions):
            activation = module.get_submodule(str(chain.activation.target))
            replace_module(module, str(chain.activation.target), LinearisedActivation(activation))
            first, second = module_of(module, chain.first), module_of(module, chain.second)
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d):
                replace_module(module, str(chain.first.target), _with_padding(first, _merged_padding(first, second)))
                replace_module(module, str(chain.second.target), _with_padding(second, (0, 0)))

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Merges every linearised pair into its first layer, exactly, in float64."""
        linearised = [n for n in module.graph.nodes if isinstance(module_of(module, n), LinearisedActivation)]
        for node in linearised:
            chain = find_chain(module, node)
            assert not isinstance(chain, str), chain
            replace_module(module, str(chain.first.target), _merge(module, chain))
            chain.end.replace_all_uses_with(chain.first)
            module.graph.eliminate_dead_code()
        if linearised:
            module.recompile()
            module.delete_all_unused_submodules()


def find_chain(module: fx.GraphModule, activation: fx.Node) -> Chain | str:
    """The foldable chain around an activation node, or the reason why there is none."""
    source = activation.all_input_nodes[0]
    first_norm = source if is_foldable_norm(module_of(module, source)) else None
    first = first_norm.all_input_nodes[0] if first_norm else source
    second = only_user(activation)
    reason = _obstacle(module, first, first_norm, second)
    if reason:
        return reason
    assert second is not None
    after = only_user(second)
    second_norm = after if is_foldable_norm(module_of(module, after)) else None
    end = second_norm or second
    chain = Chain(first, first_norm, activation, second, second_norm, end)
    return _with_shortcut(module, chain, only_user(end))


def merge_weights(first: Tensor, second: Tensor, stride: tuple[int, int]) -> Tensor:
    """The kernel that does what two convolutions do one after the other, without padding between them.

    Args:
        first: Weight (middle, in, k1, k1).
        second: Weight (out, middle, k2, k2).
        stride: Stride of the first.

    Returns:
        Weight (out, in, K, K) with K = k1 + stride * (k2 - 1).
    """
    out, _, k2h, k2w = second.shape
    _, inner, k1h, k1w = first.shape
    merged = first.new_zeros(out, inner, k1h + stride[0] * (k2h - 1), k1w + stride[1] * (k2w - 1))
    for row in range(k2h):
        for column in range(k2w):
            top, left = stride[0] * row, stride[1] * column
            merged[:, :, top : top + k1h, left : left + k1w] += torch.einsum(
                "om,micd->oicd", second[:, :, row, column], first
            )
    return merged


def is_foldable_norm(module: nn.Module | None) -> bool:
    """Whether a module is a BatchNorm that applies running statistics at inference, an affine map per channel."""
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None


def folded_parameters(layer: nn.Module, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Weight and bias in float64 of a layer with its BatchNorm folded in; a linear layer as (out, in, 1, 1)."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight = layer.weight.detach().double()
    bias = weight.new_zeros(weight.shape[0]) if layer.bias is None else layer.bias.detach().double()
    if norm is not None:
        assert isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach().double() if norm.affine else None
        shift = norm.bias.detach().double() if norm.affine else None
        mean, variance = norm.running_mean.double(), norm.running_var.double()
        fused = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, scale, shift)
        weight, bias = fused[0].detach(), fused[1].detach()
    return (weight[:, :, None, None] if weight.dim() == 2 else weight), bias


def _merged_layers(module: fx.GraphModule, chain: Chain) -> tuple[str, ...]:
    """The layers that one merged layer replaces; an absorbed projection comes last."""
    pair = (str(chain.first.target), str(chain.second.target))
    if chain.shortcut is None or chain.shortcut in chain.first.all_input_nodes:
        return pair
    return (*pair, str(chain.shortcut.target))


def _merge(module: fx.GraphModule, chain: Chain) -> nn.Module:
    first, second = module_of(module, chain.first), module_of(module, chain.second)
    first_weight, first_bias = folded_parameters(_one(first), module_of(module, chain.first_norm))
    second_weight, second_bias = folded_parameters(_one(second), module_of(module, chain.second_norm))
    stride = first.stride if isinstance(first, nn.Conv2d) else (1, 1)
    weight = merge_weights(first_weight, second_weight, (stride[0], stride[1]))
    bias = second_bias + second_weight.sum((2, 3)) @ first_bias
    if isinstance(first, nn.Linear):
        merged: nn.Conv2d | nn.Linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=first.weight.dtype)
        weight = weight[:, :, 0, 0]
    else:
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        padding = _merged_padding(first, second)
        weight, bias = _add_shortcut(module, chain, weight, bias, padding)
        total = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
        kernel = (weight.shape[2], weight.shape[3])
        merged = nn.Conv2d(weight.shape[1], weight.shape[0], kernel, total, padding, dtype=first.weight.dtype)
    with torch.no_grad():
        merged.weight.copy_(weight)
        assert merged.bias is not None
        merged.bias.copy_(bias)
    return merged.train(_one(first).training)


def _add_shortcut(
    module: fx.GraphModule, chain: Chain, weight: Tensor, bias: Tensor, padding: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The shortcut as a 1 x 1 kernel at the place that reads the pixel itself: index `padding` of the kernel."""
    if chain.shortcut is None:
        return weight, bias
    projection = module_of(module, chain.shortcut) if chain.shortcut is not chain.first.all_input_nodes[0] else None
    if projection is None:
        point, extra = torch.eye(weight.shape[0], dtype=weight.dtype), torch.zeros_like(bias)
    else:
        projected, extra = folded_parameters(projection, module_of(module, chain.shortcut_norm))
        point = projected[:, :, 0, 0]
    weight = weight.clone()
    weight[:, :, padding[0], padding[1]] += point
    return weight, bias + extra


def _obstacle(module: fx.GraphModule, first: fx.Node, first_norm: fx.Node | None, second: fx.Node | None) -> str | None:
    """Why the layers around an activation cannot be merged, or None where they can."""
    before, after = module_of(module, first), module_of(module, second)
    if is_layer(before) and (only_user(first) is None or (first_norm is not None and only_user(first_norm) is None)):
        return "its input is read in several places"
    if is_layer(before) and second is None:
        return "its output is read in several places"
    if second is None or not is_layer(before) or type(before) is not type(after):
        return "it does not stand between two convolutions or two linear layers"
    if n_calls(module, first) > 1 or n_calls(module, second) > 1:
        return "a layer beside it is called in several places"
    if not isinstance(before, nn.Conv2d) or not isinstance(after, nn.Conv2d):
        return None
    if before.groups != 1 or after.groups != 1 or max(*before.dilation, *after.dilation) > 1:
        return "grouped or dilated convolutions around it are not merged"
    if isinstance(before.padding, str) or isinstance(after.padding, str):
        return "the padding around it is not given in numbers"
    if before.padding_mode != "zeros" or after.padding_mode != "zeros":
        return "padding other than zeros around it cannot be moved"
    kernel = max(before.kernel_size[i] + before.stride[i] * (after.kernel_size[i] - 1) for i in (0, 1))
    if kernel > MAX_KERNEL:
        return f"the merged kernel would be {kernel} wide, more than {MAX_KERNEL}"
    return None


def _with_shortcut(module: fx.GraphModule, chain: Chain, user: fx.Node | None) -> Chain:
    """The chain with the addition behind it, where the other operand can be absorbed into the merged kernel."""
    first, second = module_of(module, chain.first), module_of(module, chain.second)
    if user is None or not is_addition(user) or not isinstance(first, nn.Conv2d) or not isinstance(second, nn.Conv2d):
        return chain
    other = next(node for node in user.all_input_nodes if node is not chain.end)
    stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
    source = chain.first.all_input_nodes[0]
    padding, kernel = _merged_padding(first, second), _merged_kernel(first, second)
    if padding[0] >= kernel[0] or padding[1] >= kernel[1]:
        return chain
    nodes = (chain.first, chain.first_norm, chain.activation, chain.second, chain.second_norm, user)
    if other is source and stride == (1, 1) and first.in_channels == second.out_channels:
        return Chain(*nodes, shortcut=other)
    norm = other if is_foldable_norm(module_of(module, other)) else None
    point = norm.all_input_nodes[0] if norm else other
    projection = module_of(module, point)
    if (
        isinstance(projection, nn.Conv2d)
        and point.all_input_nodes == [source]
        and tuple(projection.kernel_size) == (1, 1)
        and (projection.stride, projection.groups) == (stride, 1)
        and tuple(projection.padding) == (0, 0)
        and only_user(other) is user
        and (norm is None or only_user(point) is norm)
        and n_calls(module, point) == 1
    ):
        return Chain(*nodes, shortcut=point, shortcut_norm=norm)
    return chain


def _chains_of(module: fx.GraphModule, decisions: Decisions) -> list[Chain]:
    """The chains that start at the decided layers."""
    chains = []
    for node in list(module.graph.nodes):
        if isinstance(module_of(module, node), ACTIVATIONS):
            chain = find_chain(module, node)
            if isinstance(chain, Chain) and decisions.get(str(chain.first.target)) == "on":
                chains.append(chain)
    return chains


def _merged_padding(first: nn.Conv2d, second: nn.Conv2d) -> tuple[int, int]:
    return _moved(first, second, 0), _moved(first, second, 1)


def _moved(first: nn.Conv2d, second: nn.Conv2d, axis: int) -> int:
    return int(first.padding[axis]) + first.stride[axis] * int(second.padding[axis])


def _merged_kernel(first: nn.Conv2d, second: nn.Conv2d) -> tuple[int, int]:
    sizes = [first.kernel_size[axis] + first.stride[axis] * (second.kernel_size[axis] - 1) for axis in (0, 1)]
    return sizes[0], sizes[1]


def _with_padding(conv: nn.Conv2d, padding: tuple[int, int]) -> nn.Conv2d:
    kernel, stride = (conv.kernel_size[0], conv.kernel_size[1]), (conv.stride[0], conv.stride[1])
    moved = nn.Conv2d(conv.in_channels, conv.out_channels, kernel, stride, padding, bias=conv.bias is not None)
    moved.weight, moved.bias = conv.weight, conv.bias
    return moved.train(conv.training)


def _one(module: nn.Module | None) -> nn.Module:
    assert module is not None
    return module
