"""Which operations between layers runtimes execute in integers, told from the nodes of a traced network.

Between two int8 layers nothing should run in float. Operations differ in what they need for that: some only move or
pick values, which then keep their integers; others compute, and need integers at every input and at their output.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

# Without effect at inference.
_IDLE_MODULES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_IDLE: frozenset[Any] = frozenset({functional.dropout, "contiguous", "detach", "clone", torch.clone})
_IDLE_FUNCTIONS = frozenset({"stochastic_depth"})  # torchvision's, which this package does not import

_MAXIMUM_MODULES = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_MAXIMA: frozenset[Any] = frozenset(
    {functional.max_pool1d, functional.max_pool2d, functional.max_pool3d}
    | {torch.max_pool1d, torch.max_pool2d, torch.max_pool3d}
)
_MOVING_MODULES = (*_MAXIMUM_MODULES, nn.Flatten, nn.Unflatten, *_IDLE_MODULES)
_MOVING: frozenset[Any] = frozenset(
    {torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze}
    | {torch.chunk, torch.split, torch.unbind, operator.getitem}
    | _MAXIMA
    | {"flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "chunk", "split", "unbind"}
)
_SPLITTING: frozenset[Any] = frozenset({torch.chunk, torch.split, torch.unbind, "chunk", "split", "unbind"})

_ADDITIONS: frozenset[Any] = frozenset({operator.add, operator.iadd, torch.add, "add", "add_"})
_PRODUCTS: frozenset[Any] = frozenset({operator.mul, operator.imul, torch.mul, "mul", "mul_"})
_CONCATENATIONS: frozenset[Any] = frozenset({torch.cat, torch.concat})
_SIGMOIDS: frozenset[Any] = frozenset({torch.sigmoid, functional.sigmoid, "sigmoid"})
_POOLING_MODULES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_POOLINGS: frozenset[Any] = frozenset({functional.avg_pool2d, functional.adaptive_avg_pool2d})
_RELUS: frozenset[Any] = frozenset({torch.relu, functional.relu, functional.relu6, "relu", "relu_"})


def is_moving(module: nn.Module, node: fx.Node) -> bool:
    """Whether the node only moves, picks or repeats values of its input: they can keep their quantisation."""
    if is_splitting(module, node):
        return True
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _MOVING_MODULES)
    if node.op == "placeholder":
        return False
    return node.target in _MOVING or node.target in _IDLE or getattr(node.target, "__name__", "") in _IDLE_FUNCTIONS


def is_maximum(module: nn.Module, node: fx.Node) -> bool:
    """Whether the node picks the largest value of each window."""
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _MAXIMUM_MODULES)
    return node.op != "placeholder" and node.target in _MAXIMA


def is_splitting(module: nn.Module, node: fx.Node) -> bool:
    """Whether the node gives several tensors, which `getitem` nodes pick from."""
    if node.op == "call_module":
        # A module that divides an axis into parts of the sizes it holds; the packages above have one.
        return isinstance(getattr(module.get_submodule(str(node.target)), "sizes", None), list)
    return node.op != "placeholder" and node.target in _SPLITTING


def is_computing(module: nn.Module, node: fx.Node) -> bool:
    """Whether runtimes have an integer kernel for what the node computes from tensors alone."""
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), (nn.LeakyReLU, nn.Sigmoid, *_POOLING_MODULES))
    if node.op == "placeholder":
        return False
    if node.target in _ADDITIONS or node.target in _PRODUCTS:
        return is_sum(node) or is_product(node)
    return node.target in _CONCATENATIONS or node.target in _POOLINGS or node.target in _SIGMOIDS


def is_sum(node: fx.Node) -> bool:
    """Whether the node adds two tensors."""
    return node.target in _ADDITIONS and len(node.all_input_nodes) == 2 and "alpha" not in node.kwargs


def is_product(node: object) -> bool:
    """Whether the node multiplies two tensors."""
    return isinstance(node, fx.Node) and node.target in _PRODUCTS and len(node.all_input_nodes) == 2


def is_relu(module: nn.Module, node: fx.Node) -> bool:
    """Whether the node is a ReLU or ReLU6, which the quantised range of its output replaces."""
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), nn.ReLU | nn.ReLU6)
    return node.op != "placeholder" and node.target in _RELUS


def behind_activation(module: nn.Module, node: fx.Node) -> fx.Node:
    """The ReLU or ReLU6 that alone reads a node and that runtimes therefore fuse into it, else the node itself."""
    user = next(iter(node.users)) if len(node.users) == 1 else None
    return user if user is not None and is_relu(module, user) else node


def needs_output(module: nn.Module, node: fx.Node) -> bool:
    """Whether an int8 layer executes so only if what it hands on is quantised, too.

    Convolutions have no kernel from integers to float. Linear layers have, but a ReLU behind one is not fused into it.
    """
    is_linear = isinstance(module.get_submodule(str(node.target)), nn.Linear)
    return not is_linear or behind_activation(module, node) is not node
