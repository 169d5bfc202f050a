"""What each kind of operation does to the channels of what it reads: one rule per kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from .channel_map import FIXED, Labels, fixed_like
from .operations import Kind

if TYPE_CHECKING:
    from .channel_follower import ChannelFollower

Rule: TypeAlias = "Callable[[ChannelFollower, fx.Node, Any], Any]"
"""Gives the labels of a node's value (the last argument), and notes on the follower's map what it ties or fixes."""
_REORDERINGS = (
    "permute transpose t swapaxes swapdims movedim contiguous clone flip squeeze unsqueeze select narrow unbind getitem"
)
"""Movements that divide no axis: what was tied when an axis was divided stays as it is."""


def give_up(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    """Fixes the channels of whatever a node reads."""
    for source in node.all_input_nodes:
        follower.map.fix_all(follower.labels[source], _reason(node))
    return fixed_like(value)


def _read_layer(follower: ChannelFollower, node: fx.Node, value: Tensor) -> Labels:
    layer, source = follower.called(node), follower.source(node)
    axis = value.dim() - 1 if isinstance(layer, nn.Linear) else 1
    groups = getattr(layer, "groups", 1)
    entries = follower.map.entries(source, axis, node.name)
    if follower.is_depthwise(node, layer, len(entries)):
        follower.map.hold(str(node.target), "depthwise", entries)
        return _along(entries.repeat_interleave(value.shape[axis] // groups), axis, value.shape)
    follower.map.hold(str(node.target), "in", entries)
    numbers = follower.make(str(node.target), value.shape[axis])
    follower.map.hold(str(node.target), "out", numbers)
    if groups > 1:
        follower.map.tie_groups(entries, groups, node.name)
        follower.map.tie_groups(numbers, groups, node.name)
    return _along(numbers, axis, value.shape)


def _pass_norm(follower: ChannelFollower, node: fx.Node, value: Tensor) -> Labels:
    norm, source = follower.called(node), follower.source(node)
    if isinstance(norm, nn.PReLU) and norm.num_parameters == 1:
        return Labels(source.ids, value.shape)
    is_last = isinstance(norm, nn.LayerNorm | nn.RMSNorm)
    axis = value.dim() - 1 if is_last else 1
    if is_last and len(norm.normalized_shape) > 1:
        given_up: Labels = give_up(follower, node, value)
        return given_up
    entries = follower.map.entries(source, axis, node.name)
    follower.map.hold(str(node.target), "norm", entries)
    if isinstance(norm, nn.GroupNorm):
        follower.map.tie_groups(entries, norm.num_groups, node.name)
    return _along(entries, axis, value.shape)


def _pass(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    sources = [follower.labels[each] for each in node.all_input_nodes if isinstance(follower.labels[each], Labels)]
    if not sources:
        return fixed_like(value)
    if len(sources) > 1:  # such as a power with a tensor for the exponent
        return _combine(follower, node, value)
    if isinstance(value, Tensor) and _keeps_places(sources[0], value):
        return Labels(sources[0].ids, value.shape)
    return give_up(follower, node, value)


def _pass_local(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    """Pooling and the like, which mixes the places of each channel: the axes behind the first two, or the last."""
    source = follower.source(node)
    if any(source.varies(axis) for axis in range(min(2, len(source.shape) - 1), len(source.shape))):
        return give_up(follower, node, value)
    return _pass(follower, node, value)


def _move(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    source = follower.source(node)
    if node.target is functional.pad and _keeps_places(source, value):
        return Labels(source.ids, value.shape)  # the channels do not vary along what is padded
    first = next(iter(node.all_input_nodes))
    args, kwargs = fx.node.map_arg(
        (node.args, node.kwargs), lambda n: source.full() if n is first else follower.values[n]
    )
    kwargs = {name: FIXED if name == "value" else each for name, each in kwargs.items()}
    if node.op == "call_method":
        moved = getattr(args[0], str(node.target))(*args[1:], **kwargs)
    else:
        operation = follower.called(node) if node.op == "call_module" else node.target
        assert callable(operation)
        moved = operation(*args, **kwargs)
    n_tied = sum(size > 1 for size in source.ids.shape) if _name(node) in _REORDERINGS.split() else 0
    if isinstance(moved, tuple | list):
        return tuple(follower.map.compressed(each, node.name, n_tied) for each in moved)
    return follower.map.compressed(moved, node.name, n_tied)


def _pick(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    """`value[index]`: an element of a tuple, or part of a tensor."""
    source = follower.labels[node.args[0]] if isinstance(node.args[0], fx.Node) else None
    if isinstance(source, tuple):
        return source[node.args[1]]  # type: ignore[index]  # an index, as the value is a tuple
    return _move(follower, node, value) if isinstance(source, Labels) else None


def _ask(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    return give_up(follower, node, value) if isinstance(value, Tensor) else None


def _reduce(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    source = follower.source(node)
    if not isinstance(value, Tensor):
        return give_up(follower, node, value)
    keepdim = value.dim() == len(source.shape)
    axes = _axes(node, len(source.shape))
    if any(source.varies(axis) for axis in axes):
        return give_up(follower, node, value)
    ids = source.ids if keepdim else source.ids.squeeze(axes)
    return Labels(ids, value.shape)


def _combine(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    """Element by element: what meets goes together."""
    if not isinstance(value, Tensor):
        return None
    operands = [
        (each, _aligned(follower.labels[each], value))
        for each in node.all_input_nodes
        if isinstance(follower.labels[each], Labels)
    ]
    lead = max((labels for _, labels in operands), key=lambda labels: labels.ids.numel(), default=None)
    if lead is None:
        return fixed_like(value)
    for operand, labels in operands:
        if labels is lead:
            continue
        axes = [axis for axis in range(value.dim()) if lead.varies(axis) and labels.shape[axis] > 1]
        if any(labels.varies(axis) and not lead.varies(axis) for axis in range(value.dim())):
            follower.map.fix_all(lead, _reason(node))
            follower.map.fix_all(labels, _reason(node))
            return fixed_like(value)
        if not axes:
            continue
        if operand.op == "get_attr" and len(axes) == 1:
            axis = axes[0] - (value.dim() - follower.values[operand].dim())
            follower.map.hold(str(operand.target), "parameter", lead.ids.flatten(), axis)
        else:
            follower.map.tie(lead.ids, labels.ids, node.name)
    return Labels(lead.ids, value.shape)


def _join(follower: ChannelFollower, node: fx.Node, value: Tensor) -> Labels:
    """Concatenation, or stacking along a new axis."""
    tensors: Any = node.args[0] if node.args else node.kwargs["tensors"]
    parts = follower.labels[tensors] if isinstance(tensors, fx.Node) else [follower.labels[each] for each in tensors]
    axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis", 0))
    assert isinstance(axis, int)
    join: Callable[..., Tensor] = torch.stack if "stack" in str(node.target) else torch.cat
    ids = join([part.full() for part in parts], axis)
    labels = follower.map.compressed(ids, node.name, ids.dim())
    if labels.varies(axis) and sum(size > 1 for size in labels.ids.shape) > 1:
        follower.map.tie(labels.ids, labels.ids.narrow(axis, 0, 1), node.name)  # the parts lose the same channels
    return labels


def _split(follower: ChannelFollower, node: fx.Node, value: Any) -> Any:
    split, source = follower.called(node), follower.source(node)
    dim = split.dim % len(source.shape)
    if source.varies(dim):
        follower.map.hold(str(node.target), "split", follower.map.entries(source, dim, node.name))
        parts = torch.split_with_sizes(source.ids, split.sizes, dim)
    else:
        parts = (source.ids,) * len(value)
    return tuple(Labels(ids, each.shape) for ids, each in zip(parts, value, strict=True))


def _attend(follower: ChannelFollower, node: fx.Node, value: Tensor) -> Labels:
    """Heads: query, key and value lose the same heads, each as a whole."""
    unit = follower.called(node)
    entries = [follower.map.entries(follower.labels[each], 2, node.name) for each in node.all_input_nodes[:3]]
    for each in entries:
        heads = each.reshape(-1, unit.head_width)
        follower.map.tie(heads, heads[:, :1], node.name)
        follower.map.tie(each, entries[2], node.name)
    follower.map.hold(str(node.target), "heads", entries[2])
    return _along(entries[2], 2, value.shape)


def _along(numbers: Tensor, axis: int, shape: torch.Size) -> Labels:
    return Labels(numbers.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


def _aligned(labels: Labels, value: Tensor) -> Labels:
    missing = value.dim() - len(labels.shape)
    shape = torch.Size([1] * missing + list(labels.shape))
    return Labels(labels.ids.reshape([1] * missing + list(labels.ids.shape)), shape)


def _axes(node: fx.Node, n_axes: int) -> tuple[int, ...]:
    """The axes that a reduction reduces; all of them where it names none."""
    given = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis"))
    if given is None:
        return tuple(range(n_axes))
    axes = given if isinstance(given, tuple | list) else (given,)
    return tuple(int(axis) % n_axes for axis in axes if isinstance(axis, int))


def _keeps_places(source: Labels, value: Tensor) -> bool:
    """Whether an operation's result is as long as its source along every axis where the numbers vary."""
    is_alike = value.dim() == len(source.shape)
    return is_alike and all(value.shape[i] == source.shape[i] for i in range(value.dim()) if source.varies(i))


def _name(node: fx.Node) -> str:
    return str(node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.target))


def _reason(node: fx.Node) -> str:
    return f"its channels reach {_name(node)!r}, through which they cannot be followed"


RULES: Mapping[Kind, Rule] = {
    Kind.LAYER: _read_layer,
    Kind.NORM: _pass_norm,
    Kind.POINTWISE: _pass,
    Kind.LOCAL: _pass_local,
    Kind.MOVEMENT: _move,
    Kind.ITEM: _pick,
    Kind.ATTRIBUTE: _ask,
    Kind.REDUCTION: _reduce,
    Kind.COMBINATION: _combine,
    Kind.JOIN: _join,
    Kind.SPLIT: _split,
    Kind.ATTENTION: _attend,
    Kind.OTHER: give_up,
}
"""What each kind of operation makes of the channel numbers of what it reads."""
