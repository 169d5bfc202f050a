"""Follows every channel through a network: which layer made what each layer reads.

Each channel that a layer makes gets a number. The numbers ride through the graph as an integer tensor beside values:
operations that only move data are run on them, sums tie the numbers that meet, and a layer notes the number behind each
of its inputs. What cannot be followed is tied to `FIXED`, with the operation's name.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from .channel_map import FIXED, ChannelMap, Holder, Labels, Numbers, fixed_like
from .channel_rules import RULES, give_up
from .graph import run_without_data
from .operations import kind_of


def follow_channels(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> ChannelMap:
    """Follows the channels of all layers through a graph; no value is computed."""
    return ChannelFollower(module, example_inputs).map


class ChannelFollower:
    """One walk through a graph with numbered channels, and walks again after channels were removed.

    Attributes:
        map: What the walk found.
        values: What each node gives; tensors without data.
        labels: The channel numbers of each node's value: `Labels`, tuples of them, or None for what is no tensor.
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
        self.labels: dict[fx.Node, Any] = {}
        self.submodules: dict[str, nn.Module] = dict(module.named_modules())
        for node in module.graph.nodes:
            if node.op == "output":
                for source in node.all_input_nodes:
                    self.map.fix_all(self.labels[source], "its channels are the model's outputs")
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
            return fixed_like(value)
        operation = self.submodules[str(node.target)] if node.op == "call_module" else node.target
        rule = RULES[kind_of(operation)]
        if self.known is not None:
            return rule(self, node, value)
        try:
            return rule(self, node, value)
        except Exception:  # a way to call it that the rule does not know
            return give_up(self, node, value)

    def called(self, node: fx.Node) -> Any:  # a module's attributes are of any type
        """The module that a node calls."""
        return self.submodules[str(node.target)]

    def source(self, node: fx.Node) -> Labels:
        """The labels of the first tensor that a node reads."""
        labels = self.labels[next(iter(node.all_input_nodes))]
        assert isinstance(labels, Labels)
        return labels

    def is_depthwise(self, node: fx.Node, layer: Any, n_inputs: int) -> bool:
        """Whether a convolution's outputs are its inputs; a pruned one, however narrow, is what it was."""
        if self.known is not None:
            return str(node.target) not in self.known
        return 1 < n_inputs == getattr(layer, "groups", 1) and not layer.transposed

    def make(self, layer: str, n: int) -> Tensor:
        """The numbers of the `n` channels that a layer makes, the same ones at each call."""
        if layer not in self.map.made:
            start = self.map.n_channels
            numbers = np.arange(start, start + n) if self.known is None else self.known[layer]
            self.map.made[layer] = numbers
            self.map.n_channels = max(start + n, int(numbers.max(initial=FIXED)) + 1)
        return torch.from_numpy(self.map.made[layer])


def _is_alike(one: Any, other: Any) -> bool:
    """Whether two values of nodes have the same shapes, numbers and Python values."""
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(_is_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Labels):
        return bool(one.shape == other.shape and torch.equal(one.ids, other.ids))
    if isinstance(one, Tensor):
        return bool(one.shape == other.shape)
    return bool(one == other)
