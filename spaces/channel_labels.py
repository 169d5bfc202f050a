"""Follows every channel through a network: which layer made what each layer reads.

Each channel that a layer makes gets a number. The numbers ride through the graph as an integer tensor beside values:
operations that only move data are run on them, sums tie the numbers that meet, and a layer notes the number behind each
of its inputs. What cannot be followed is tied to `FIXED`, with the operation's name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from .graph import run_without_data
from .operations import Kind, kind_of

FIXED = 0
"""The number of channels that cannot be removed: the model's inputs, constants, outputs, what is not understood."""
_REORDERINGS = (
    "permute transpose t swapaxes swapdims movedim contiguous clone flip squeeze unsqueeze select narrow unbind getitem"
)
"""Movements that divide no axis: what was tied when an axis was divided stays as it is."""
Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labels:
    """The channel numbers of one tensor.

    Attributes:
        ids: Broadcastable to `shape`: of size 1 along every axis where the numbers do not vary.
        shape: Of the tensor itself.
    """

    ids: Tensor
    shape: torch.Size

    def full(self) -> Tensor:
        """The numbers element by element."""
        return self.ids.expand(self.shape)

    def varies(self, axis: int) -> bool:
        """Whether elements along an axis belong to different channels."""
        return self.ids.shape[axis] > 1


@dataclass(frozen=True, slots=True)
class Holder:
    """Something in the network with one entry per channel, which shrinks when channels go.

    Attributes:
        name: A module, or a parameter of the model's own.
        role: `out` and `in` (a layer's), `depthwise` (both at once), `norm`, `split`, `heads`, or `parameter`.
        numbers: The channel number of each entry.
        axis: Of a parameter.
    """

    name: str
    role: str
    numbers: Numbers
    axis: int = 0


@dataclass(slots=True)
class ChannelMap:
    """Every channel of a network and where it goes.

    Attributes:
        made: The numbers of the channels that each layer makes.
        holders: Everything with one entry per channel.
        ties: Pairs of numbers that must stay or go together.
        fixed: Numbers that must stay, with the reason.
        n_channels: Numbers in use.
    """

    made: dict[str, Numbers] = field(default_factory=dict)
    holders: list[Holder] = field(default_factory=list)
    ties: list[tuple[Numbers, Numbers]] = field(default_factory=list)
    fixed: list[tuple[Numbers, str]] = field(default_factory=list)
    n_channels: int = 1  # FIXED is number 0

    def tie(self, one: Tensor, other: Tensor, where: str) -> None:
        """Notes that the channels of two number tensors, broadcast together, go together.

        Args:
            one: Numbers.
            other: Numbers.
            where: Name of the place where they meet.
        """
        a, b = np.broadcast_arrays(one.numpy(), other.numpy())
        is_free = (a != FIXED) & (b != FIXED)
        is_tied = is_free & (a != b)
        self.ties.append((a[is_tied], b[is_tied]))
        stuck = np.unique(np.maximum(a, b)[~is_free])
        self.fix(stuck, f"its channels meet inputs, constants or padding in {where!r}")

    def fix(self, numbers: Numbers, reason: str) -> None:
        """Notes that channels must stay."""
        if numbers.max(initial=FIXED) != FIXED:
            self.fixed.append((numbers, reason))

    def hold(self, name: str, role: str, numbers: Tensor, axis: int = 0) -> None:
        """Notes a holder; one that is met again (a module called twice) must hold the same channels."""
        known = next((each for each in self.holders if (each.name, each.role, each.axis) == (name, role, axis)), None)
        if known is None:
            self.holders.append(Holder(name, role, numbers.numpy().copy(), axis))
        else:
            self.tie(torch.from_numpy(known.numbers), numbers, name)


def follow_channels(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> ChannelMap:
    """Follows the channels of all layers through a graph; no value is computed."""
    return ChannelFollower(module, example_inputs).map


class ChannelFollower:
    """One walk through a graph with numbered channels, and walks again after channels were removed.

    Attributes:
        map: What the walk found.
    """

    def __init__(self, module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> None:
        """Follows the channels of all layers.

        Args:
            module: The network.
            example_inputs: One batch of every input.
        """
        self.module = module
        self.map = ChannelMap()
        self.known: Mapping[str, Numbers] | None = None
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.inputs = iter(example_inputs)
        self.values: dict[fx.Node, Any] = {}  # a node may give anything
        self.labels: dict[fx.Node, Any] = {}  # Labels, tuples of them, or None for what is no tensor
        self.submodules: dict[str, nn.Module] = dict(module.named_modules())
        for node in module.graph.nodes:
            if node.op == "output":
                for source in node.all_input_nodes:
                    self._fix_all(self.labels[source], "its channels are the model's outputs")
                continue
            self.values[node] = self._value(node)
            self.labels[node] = self._label(node)

    def again(self, module: fx.GraphModule, removed: Numbers, changed: Collection[str]) -> list[Holder]:
        """Follows the channels once more where modules were changed, and what depends on them.

        Args:
            module: A copy of the network, pruned.
            removed: Numbers of the channels that are gone.
            changed: The modules and parameters in which the copy differs.

        Returns:
            What the holders met on the way hold now. The first walk's findings stay as they are.
        """
        walk = copy.copy(self)
        walk.module, walk.submodules = module, dict(module.named_modules())
        walk.values, walk.labels, walk.map = dict(self.values), dict(self.labels), ChannelMap()
        walk.known = {name: numbers[~np.isin(numbers, removed)] for name, numbers in self.map.made.items()}
        different: set[fx.Node] = set()
        for node in self.module.graph.nodes:
            is_touched = str(node.target) in changed or not different.isdisjoint(node.all_input_nodes)
            if not is_touched or node.op == "output":
                continue
            walk.values[node] = walk._value(node)
            walk.labels[node] = walk._label(node)
            if not _is_alike((walk.values[node], walk.labels[node]), (self.values[node], self.labels[node])):
                different.add(node)
        return walk.map.holders

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            example = next(self.inputs, node.args[0] if node.args else None)
            return self.mode.from_tensor(example) if isinstance(example, Tensor) else example
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
        return run_without_data(self.module, node, args, kwargs, self.mode)

    def _label(self, node: fx.Node) -> Any:
        value = self.values[node]
        if node.op in ("placeholder", "get_attr"):
            return _fixed_like(value)
        operation = self.submodules[str(node.target)] if node.op == "call_module" else node.target
        rule = _RULES[kind_of(operation)]
        if self.known is not None:
            return rule(self, node, value)
        try:
            return rule(self, node, value)
        except Exception:  # a way to call it that the rule does not know
            return self._give_up(node, value)

    # One rule per kind of operation.

    def _read_layer(self, node: fx.Node, value: Tensor) -> Labels:
        layer, source = self._called(node), self._source(node)
        axis = value.dim() - 1 if isinstance(layer, nn.Linear) else 1
        groups = getattr(layer, "groups", 1)
        entries = self._entries(source, axis, node)
        if self._is_depthwise(node, layer, len(entries)):
            self.map.hold(str(node.target), "depthwise", entries)
            return _along(entries.repeat_interleave(value.shape[axis] // groups), axis, value.shape)
        self.map.hold(str(node.target), "in", entries)
        numbers = self._make(str(node.target), value.shape[axis])
        self.map.hold(str(node.target), "out", numbers)
        if groups > 1:
            self._tie_groups(entries, groups, node)
            self._tie_groups(numbers, groups, node)
        return _along(numbers, axis, value.shape)

    def _pass_norm(self, node: fx.Node, value: Tensor) -> Labels:
        norm, source = self._called(node), self._source(node)
        if isinstance(norm, nn.PReLU) and norm.num_parameters == 1:
            return Labels(source.ids, value.shape)
        is_last = isinstance(norm, nn.LayerNorm | nn.RMSNorm)
        axis = value.dim() - 1 if is_last else 1
        if is_last and len(norm.normalized_shape) > 1:
            given_up: Labels = self._give_up(node, value)
            return given_up
        entries = self._entries(source, axis, node)
        self.map.hold(str(node.target), "norm", entries)
        if isinstance(norm, nn.GroupNorm):
            self._tie_groups(entries, norm.num_groups, node)
        return _along(entries, axis, value.shape)

    def _pass(self, node: fx.Node, value: Any) -> Any:
        sources = [self.labels[each] for each in node.all_input_nodes if isinstance(self.labels[each], Labels)]
        if not sources:
            return _fixed_like(value)
        if len(sources) > 1:  # such as a power with a tensor for the exponent
            return self._combine(node, value)
        if isinstance(value, Tensor) and _keeps_places(sources[0], value):
            return Labels(sources[0].ids, value.shape)
        return self._give_up(node, value)

    def _pass_local(self, node: fx.Node, value: Any) -> Any:
        """Pooling and the like, which mixes the places of each channel: the axes behind the first two, or the last."""
        source = self._source(node)
        if any(source.varies(axis) for axis in range(min(2, len(source.shape) - 1), len(source.shape))):
            return self._give_up(node, value)
        return self._pass(node, value)

    def _move(self, node: fx.Node, value: Any) -> Any:
        source = self._source(node)
        if node.target is functional.pad and _keeps_places(source, value):
            return Labels(source.ids, value.shape)  # the channels do not vary along what is padded
        first = next(iter(node.all_input_nodes))
        args, kwargs = fx.node.map_arg(
            (node.args, node.kwargs), lambda n: source.full() if n is first else self.values[n]
        )
        kwargs = {name: FIXED if name == "value" else each for name, each in kwargs.items()}
        if node.op == "call_method":
            moved = getattr(args[0], str(node.target))(*args[1:], **kwargs)
        else:
            operation = self._called(node) if node.op == "call_module" else node.target
            assert callable(operation)
            moved = operation(*args, **kwargs)
        n_tied = sum(size > 1 for size in source.ids.shape) if _name(node) in _REORDERINGS.split() else 0
        if isinstance(moved, tuple | list):
            return tuple(self._compressed(each, node, n_tied) for each in moved)
        return self._compressed(moved, node, n_tied)

    def _pick(self, node: fx.Node, value: Any) -> Any:
        """`value[index]`: an element of a tuple, or part of a tensor."""
        source = self.labels[node.args[0]] if isinstance(node.args[0], fx.Node) else None
        if isinstance(source, tuple):
            return source[node.args[1]]  # type: ignore[index]  # an index, as the value is a tuple
        return self._move(node, value) if isinstance(source, Labels) else None

    def _attribute(self, node: fx.Node, value: Any) -> Any:
        return self._give_up(node, value) if isinstance(value, Tensor) else None

    def _reduce(self, node: fx.Node, value: Any) -> Any:
        source = self._source(node)
        if not isinstance(value, Tensor):
            return self._give_up(node, value)
        keepdim = value.dim() == len(source.shape)
        axes = _axes(self, node, len(source.shape))
        if any(source.varies(axis) for axis in axes):
            return self._give_up(node, value)
        ids = source.ids if keepdim else source.ids.squeeze(axes)
        return Labels(ids, value.shape)

    def _combine(self, node: fx.Node, value: Any) -> Any:
        """Element by element: what meets goes together."""
        if not isinstance(value, Tensor):
            return None
        operands = [
            (each, self._aligned(self.labels[each], value))
            for each in node.all_input_nodes
            if isinstance(self.labels[each], Labels)
        ]
        lead = max((labels for _, labels in operands), key=lambda labels: labels.ids.numel(), default=None)
        if lead is None:
            return _fixed_like(value)
        for operand, labels in operands:
            if labels is lead:
                continue
            axes = [axis for axis in range(value.dim()) if lead.varies(axis) and labels.shape[axis] > 1]
            if any(labels.varies(axis) and not lead.varies(axis) for axis in range(value.dim())):
                self._fix_all(lead, _reason(node))
                self._fix_all(labels, _reason(node))
                return _fixed_like(value)
            if not axes:
                continue
            if operand.op == "get_attr" and len(axes) == 1:
                axis = axes[0] - (value.dim() - self.values[operand].dim())
                self.map.hold(str(operand.target), "parameter", lead.ids.flatten(), axis)
            else:
                self.map.tie(lead.ids, labels.ids, node.name)
        return Labels(lead.ids, value.shape)

    def _join(self, node: fx.Node, value: Tensor) -> Labels:
        """Concatenation, or stacking along a new axis."""
        tensors: Any = node.args[0] if node.args else node.kwargs["tensors"]
        parts = self.labels[tensors] if isinstance(tensors, fx.Node) else [self.labels[each] for each in tensors]
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis", 0))
        assert isinstance(axis, int)
        join: Callable[..., Tensor] = torch.stack if "stack" in str(node.target) else torch.cat
        ids = join([part.full() for part in parts], axis)
        labels = self._compressed(ids, node, ids.dim())
        if labels.varies(axis) and sum(size > 1 for size in labels.ids.shape) > 1:
            self.map.tie(labels.ids, labels.ids.narrow(axis, 0, 1), node.name)  # the parts lose the same channels
        return labels

    def _split(self, node: fx.Node, value: Any) -> Any:
        split, source = self._called(node), self._source(node)
        dim = split.dim % len(source.shape)
        if source.varies(dim):
            self.map.hold(str(node.target), "split", self._entries(source, dim, node))
            parts = torch.split_with_sizes(source.ids, split.sizes, dim)
        else:
            parts = (source.ids,) * len(value)
        return tuple(Labels(ids, each.shape) for ids, each in zip(parts, value, strict=True))

    def _attend(self, node: fx.Node, value: Tensor) -> Labels:
        """Heads: query, key and value lose the same heads, each as a whole."""
        unit = self._called(node)
        entries = [self._entries(self.labels[each], 2, node) for each in node.all_input_nodes[:3]]
        for each in entries:
            heads = each.reshape(-1, unit.head_width)
            self.map.tie(heads, heads[:, :1], node.name)
            self.map.tie(each, entries[2], node.name)
        self.map.hold(str(node.target), "heads", entries[2])
        return _along(entries[2], 2, value.shape)

    def _give_up(self, node: fx.Node, value: Any) -> Any:
        for source in node.all_input_nodes:
            self._fix_all(self.labels[source], _reason(node))
        return _fixed_like(value)

    # What the rules share.

    def _called(self, node: fx.Node) -> Any:  # a module's attributes are of any type
        return self.submodules[str(node.target)]

    def _source(self, node: fx.Node) -> Labels:
        labels = self.labels[next(iter(node.all_input_nodes))]
        assert isinstance(labels, Labels)
        return labels

    def _is_depthwise(self, node: fx.Node, layer: Any, n_inputs: int) -> bool:
        """Whether a convolution's outputs are its inputs; a pruned one, however narrow, is what it was."""
        if self.known is not None:
            return str(node.target) not in self.known
        return 1 < n_inputs == getattr(layer, "groups", 1) and not layer.transposed

    def _make(self, layer: str, n: int) -> Tensor:
        if layer not in self.map.made:
            start = self.map.n_channels
            numbers = np.arange(start, start + n) if self.known is None else self.known[layer]
            self.map.made[layer] = numbers
            self.map.n_channels = max(start + n, int(numbers.max(initial=FIXED)) + 1)
        return torch.from_numpy(self.map.made[layer])

    def _entries(self, labels: Labels, axis: int, node: fx.Node) -> Tensor:
        """The number behind each position of an axis; what varies along the others as well goes together."""
        first = labels.ids
        for other in range(labels.ids.dim()):
            if other != axis:
                first = first.narrow(other, 0, 1)
        if first.numel() != labels.ids.numel():
            self.map.tie(labels.ids, first, node.name)
        return first.flatten().expand(labels.shape[axis])

    def _tie_groups(self, entries: Tensor, n_groups: int, node: fx.Node) -> None:
        """All groups lose the channels at the same places."""
        rows = entries.reshape(n_groups, -1)
        self.map.tie(rows, rows[:1], node.name)

    def _compressed(self, ids: Tensor, node: fx.Node, n_tied: int = 0) -> Labels:
        """Labels without repetition; where more than `n_tied` axes vary, the channels of the outer ones are tied."""
        shape = ids.shape
        for axis in range(ids.dim()):
            first = ids.narrow(axis, 0, 1) if ids.shape[axis] else ids
            if ids.shape[axis] > 1 and bool((ids == first).all()):
                ids = first
        varying = [axis for axis in range(ids.dim()) if ids.shape[axis] > 1]
        reference = ids
        for axis in varying[:-1]:  # an axis was divided: its outer parts lose the channels at the same places
            reference = reference.narrow(axis, 0, 1)
        if len(varying) > max(1, n_tied):
            self.map.tie(ids, reference, node.name)
        return Labels(ids, shape)

    def _aligned(self, labels: Labels, value: Tensor) -> Labels:
        missing = value.dim() - len(labels.shape)
        shape = torch.Size([1] * missing + list(labels.shape))
        return Labels(labels.ids.reshape([1] * missing + list(labels.ids.shape)), shape)

    def _fix_all(self, labels: Any, reason: str) -> None:
        if isinstance(labels, tuple | list):
            for each in labels:
                self._fix_all(each, reason)
        elif isinstance(labels, Labels):
            self.map.fix(np.unique(labels.ids.numpy()), reason)


def _is_alike(one: Any, other: Any) -> bool:
    """Whether two values of nodes have the same shapes, numbers and Python values."""
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(_is_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Labels):
        return bool(one.shape == other.shape and torch.equal(one.ids, other.ids))
    if isinstance(one, Tensor):
        return bool(one.shape == other.shape)
    return bool(one == other)


def _along(numbers: Tensor, axis: int, shape: torch.Size) -> Labels:
    return Labels(numbers.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


def _fixed_like(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Labels(torch.full([1] * value.dim(), FIXED), value.shape)
    if isinstance(value, tuple | list):
        return tuple(_fixed_like(each) for each in value)
    return None


def _axes(follower: ChannelFollower, node: fx.Node, n_axes: int) -> tuple[int, ...]:
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


_RULES: Mapping[Kind, Callable[[ChannelFollower, fx.Node, Any], Any]] = {
    Kind.LAYER: ChannelFollower._read_layer,
    Kind.NORM: ChannelFollower._pass_norm,
    Kind.POINTWISE: ChannelFollower._pass,
    Kind.LOCAL: ChannelFollower._pass_local,
    Kind.MOVEMENT: ChannelFollower._move,
    Kind.ITEM: ChannelFollower._pick,
    Kind.ATTRIBUTE: ChannelFollower._attribute,
    Kind.REDUCTION: ChannelFollower._reduce,
    Kind.COMBINATION: ChannelFollower._combine,
    Kind.JOIN: ChannelFollower._join,
    Kind.SPLIT: ChannelFollower._split,
    Kind.ATTENTION: ChannelFollower._attend,
    Kind.OTHER: ChannelFollower._give_up,
}
