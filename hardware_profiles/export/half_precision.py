"""Layers that compute in bf16 or fp16: which values stay in that type between them, and where values are cast.

Unlike integers, half precision needs no scales: a layer's parameters and its input are cast, and it executes so in
every runtime that has the type. What costs time is to cast back and forth between neighbours; so what only moves
values, picks them, or computes each from few others is done in the layers' type.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import torch
from torch import fx, nn

from ..precision import Half
from .integer_operations import is_computing, is_moving, is_relu, is_splitting
from .quantized_layers import Convolution
from .sizes import asks_for_size

HalfLayer: TypeAlias = Convolution | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d | nn.Linear
"""What runtimes execute in half precision."""

_DTYPES: Mapping[Half, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
_ACTIVATION_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid),
    *(nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh),
)
# With a number as well as with a tensor. Divisions are left out, as what is near 0 may overflow.
_ARITHMETIC: frozenset[Any] = frozenset(
    {operator.add, operator.iadd, torch.add, "add", "add_", operator.mul, operator.imul, torch.mul, "mul", "mul_"}
    | {operator.sub, operator.isub, torch.sub, "sub", "sub_"}
)
_MEANS: frozenset[Any] = frozenset({torch.mean, "mean"})


def half_dtype(half: Half) -> torch.dtype:
    """The type by torch's name."""
    return _DTYPES[half]


def largest_value(half: Half) -> float:
    """The largest finite number of the type."""
    return torch.finfo(_DTYPES[half]).max


def half_layer(layer: nn.Module, half: Half) -> nn.Module:
    """A copy of a layer with its parameters in half precision, which takes and gives values of that type."""
    # A copy first: torch would change the type of parameters that other layers may hold, too.
    return copy.deepcopy(layer).to(_DTYPES[half])


def half_nodes(module: fx.GraphModule, layers: Mapping[str, Half], without: Collection[fx.Node]) -> dict[fx.Node, Half]:
    """The nodes that compute in half precision, with their type.

    These are the layers, and the operations whose every input is in one type and that runtimes execute in it: what
    moves values, activations, additions, products, concatenations, poolings. Softmax, normalisation and products of
    matrices stay float: they sum or divide over long ranges.

    Args:
        module: A finished network.
        layers: The layers in half precision, each called once.
        without: Nodes that execute in integers.
    """
    found: dict[fx.Node, Half] = {}
    for node in module.graph.nodes:
        if node in without:
            continue
        if node.op == "call_module" and str(node.target) in layers:
            found[node] = layers[str(node.target)]
        elif node.all_input_nodes and _carries(module, node):
            # What moves values may also read sizes, as numbers.
            inputs = node.all_input_nodes[:1] if is_moving(module, node) else node.all_input_nodes
            types = {found.get(each) for each in inputs}
            half = types.pop()
            if half is not None and not types:
                found[node] = half
    return found


def insert_casts(graph: fx.Graph, halves: Mapping[fx.Node, Half]) -> None:
    """Casts values, in place, wherever one type meets another; one cast for all readers of a value in one type.

    Args:
        graph: Of a network whose layers are in their types already.
        halves: From `half_nodes`; all other nodes are float.
    """
    for node in list(graph.nodes):
        # Only layers change the type of their input; everything else in half reads what is in its type.
        has = halves.get(node)
        made: dict[Half | None, fx.Node] = {}
        for user in list(node.users):
            wants = halves.get(user)
            if wants == has or asks_for_size(user) or (has is None and not _is_layer(user, graph)):
                continue
            if wants not in made:
                made[wants] = _cast_behind(graph, node, wants)
            user.replace_input_with(node, made[wants])


def _carries(module: fx.GraphModule, node: fx.Node) -> bool:
    """Whether the node can compute in the type of its inputs."""
    if is_splitting(module, node):
        # Parts that are not picked one by one could not be cast.
        return all(user.target is operator.getitem for user in node.users)
    if is_moving(module, node) or is_computing(module, node) or is_relu(module, node):
        return True
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _ACTIVATION_MODULES)
    return node.target in _ARITHMETIC or node.target in _MEANS


def _is_layer(node: fx.Node, graph: fx.Graph) -> bool:
    assert graph.owning_module is not None
    return node.op == "call_module" and isinstance(graph.owning_module.get_submodule(str(node.target)), HalfLayer)


def _cast_behind(graph: fx.Graph, node: fx.Node, half: Half | None) -> fx.Node:
    behind = node
    while behind.op == "placeholder" and behind.next.op == "placeholder":
        behind = behind.next  # All inputs come first.
    with graph.inserting_after(behind):
        return graph.call_method("to", (node, torch.float32 if half is None else _DTYPES[half]))
