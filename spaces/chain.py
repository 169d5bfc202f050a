"""Finds what can be merged in a graph: layer → activation → layer chains, and the shortcuts around them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx, nn

from .network import is_addition, is_layer, module_of, n_calls, only_user

MAX_KERNEL = 5
"""Largest merged kernel that is offered: beyond it the merged layer costs more than the two."""


@dataclass(frozen=True, slots=True)
class Chain:
    """layer → [BN] → activation → layer, as nodes of one graph, that nothing else reads between."""

    first: fx.Node
    first_norm: fx.Node | None
    activation: fx.Node
    second: fx.Node


@dataclass(frozen=True, slots=True)
class Shortcut:
    """layer → [BN] → + other, where the other operand can be absorbed into the layer's kernel.

    Attributes:
        norm: BatchNorm between the layer and the addition.
        addition: The sum, which the merged layer then produces.
        projection: A 1 x 1 layer that reads the layer's input; None for the input itself.
        projection_norm: BatchNorm behind the projection.
    """

    norm: fx.Node | None
    addition: fx.Node
    projection: fx.Node | None = None
    projection_norm: fx.Node | None = None


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
    return Chain(first, first_norm, activation, second)


def find_shortcut(
    module: fx.GraphModule, last: fx.Node, source: fx.Node, in_channels: int, stride: tuple[int, int]
) -> Shortcut | None:
    """The shortcut from `source` to the addition behind `last`, where a merged layer can absorb it.

    Args:
        module: The network.
        last: The layer in front of the addition.
        source: What the merged layer reads.
        in_channels: How many channels that has.
        stride: Of the merged layer.
    """
    after = only_user(last)
    norm = after if is_foldable_norm(module_of(module, after)) else None
    addition = only_user(norm or last)
    layer = module_of(module, last)
    if addition is None or not is_addition(addition) or not isinstance(layer, nn.Conv2d):
        return None
    other = next((node for node in addition.all_input_nodes if node is not (norm or last)), None)
    if other is source:
        is_channel_by_channel = in_channels == layer.out_channels  # a single channel would be spread over all
        return Shortcut(norm, addition) if stride == (1, 1) and is_channel_by_channel else None
    other_norm = other if is_foldable_norm(module_of(module, other)) else None
    point = other_norm.all_input_nodes[0] if other_norm else other
    if point is None or not _is_projection(module, point, source, stride):
        return None
    if only_user(point) is not (other_norm or addition) or only_user(other_norm or point) is not addition:
        return None
    return Shortcut(norm, addition, point, other_norm)


def is_foldable_norm(module: nn.Module | None) -> bool:
    """Whether a module is a BatchNorm that applies running statistics at inference, an affine map per channel."""
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None


def merged_padding(first: nn.Conv2d, second: nn.Conv2d) -> tuple[int, int]:
    """The padding of both convolutions, put on the first: p1 + s1 * p2."""
    moved = [int(first.padding[axis]) + first.stride[axis] * int(second.padding[axis]) for axis in (0, 1)]
    return moved[0], moved[1]


def merged_kernel(first: nn.Conv2d, second: nn.Conv2d) -> tuple[int, int]:
    """The kernel of the two merged: k1 + s1 * (k2 - 1)."""
    sizes = [first.kernel_size[axis] + first.stride[axis] * (second.kernel_size[axis] - 1) for axis in (0, 1)]
    return sizes[0], sizes[1]


def merged_stride(first: nn.Conv2d, second: nn.Conv2d) -> tuple[int, int]:
    """The stride of the two merged: s1 * s2."""
    return first.stride[0] * second.stride[0], first.stride[1] * second.stride[1]


def _is_projection(module: fx.GraphModule, point: fx.Node, source: fx.Node, stride: tuple[int, int]) -> bool:
    projection = module_of(module, point)
    return (
        isinstance(projection, nn.Conv2d)
        and point.all_input_nodes == [source]
        and tuple(projection.kernel_size) == (1, 1)
        and (projection.stride, projection.groups) == (stride, 1)
        and tuple(projection.padding) == (0, 0)
        and n_calls(module, point) == 1
    )


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
    kernel = max(merged_kernel(before, after))
    if kernel > MAX_KERNEL:
        return f"the merged kernel would be {kernel} wide, more than {MAX_KERNEL}"
    if max(merged_padding(before, after)) >= min(merged_kernel(before, after)):
        return "the padding around it is wider than the merged kernel"
    return None
