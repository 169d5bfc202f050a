"""Gives what a forward calls as a function a module of its own: activations, layers and splits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from .graph import attribute_of, free_name, module_of, replace_module, shape_of

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SiLU,
    nn.GELU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.Tanh,
    nn.Sigmoid,
)
_FUNCTIONAL_ACTIVATIONS: dict[Any, Callable[..., nn.Module]] = {
    torch.relu: nn.ReLU,
    torch.sigmoid: nn.Sigmoid,
    torch.tanh: nn.Tanh,
    functional.relu: nn.ReLU,
    functional.relu6: nn.ReLU6,
    functional.leaky_relu: nn.LeakyReLU,
    functional.elu: nn.ELU,
    functional.silu: nn.SiLU,
    functional.gelu: nn.GELU,
    functional.mish: nn.Mish,
    functional.hardswish: nn.Hardswish,
    functional.hardsigmoid: nn.Hardsigmoid,
    functional.hardtanh: nn.Hardtanh,
    functional.sigmoid: nn.Sigmoid,
    functional.tanh: nn.Tanh,
    "relu": nn.ReLU,
    "relu_": partial(nn.ReLU, inplace=True),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
_LINEAR: frozenset[Any] = frozenset({functional.linear, torch._C._nn.linear})
_SPLITS: frozenset[Any] = frozenset({torch.split, torch.chunk, torch.tensor_split, "split", "chunk", "tensor_split"})


class Split(nn.Module):
    """Divides an axis into parts whose sizes pruning can change.

    Attributes:
        sizes: Of the parts.
        dim: The axis.
    """

    def __init__(self, sizes: list[int], dim: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.dim = dim

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Parts whose sizes along the axis add up to that of `x`."""
        return torch.split_with_sizes(x, self.sizes, self.dim)


def give_each_activation_a_module(module: fx.GraphModule) -> None:
    """Functional activations and activation modules called several times become one module per call.

    Folding linearises single activations, which a shared module would not allow.
    """
    seen: set[str] = set()
    for node in module.graph.nodes:
        shared = isinstance(module_of(module, node), ACTIVATIONS) and str(node.target) in seen
        functional_type = (
            _FUNCTIONAL_ACTIVATIONS.get(node.target) if node.op in ("call_function", "call_method") else None
        )
        if shared:
            activation = copy.deepcopy(module.get_submodule(str(node.target)))
            node.target = free_name(module, str(node.target))
            module.add_submodule(str(node.target), activation)
        elif functional_type is not None:
            options = {key: value for key, value in node.kwargs.items() if key != "input"}
            activation = functional_type(*node.args[1:], **options).train(module.training)
            _call_instead(module, node, activation, (node.all_input_nodes[0],))
        if node.op == "call_module":
            seen.add(str(node.target))
    module.recompile()


def give_each_layer_a_module(module: fx.GraphModule) -> None:
    """`linear` and `layer_norm` called as functions on the model's parameters become modules."""
    for node in list(module.graph.nodes):
        if node.op == "call_function" and node.target in _LINEAR:
            _make_linear(module, node)
        elif node.op == "call_function" and node.target is functional.layer_norm:
            _make_layer_norm(module, node)
    module.graph.eliminate_dead_code()
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in module.named_parameters(recurse=False) if name not in read]:
        delattr(module, name)
    module.recompile()


def give_each_split_a_module(module: fx.GraphModule) -> None:
    """`split` and `chunk` become modules that hold the sizes, so that pruning can change them; shapes must be known."""
    for node in list(module.graph.nodes):
        if node.op not in ("call_function", "call_method") or node.target not in _SPLITS:
            continue
        source = node.all_input_nodes[0]
        dim = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        if not isinstance(dim, int) or len(node.all_input_nodes) > 1 or dim % len(shape_of(source)) == 0:
            continue  # the batch, or sizes that are computed
        sizes = [part.shape[dim] for part in node.meta["tensor_meta"]]
        _call_instead(module, node, Split(sizes, dim), (source,))
    module.recompile()


def _call_instead(module: fx.GraphModule, node: fx.Node, new: nn.Module, args: tuple[fx.Node, ...]) -> None:
    name = free_name(module, node.name)
    module.add_submodule(name, new)
    node.op, node.target, node.args, node.kwargs = "call_module", name, args, {}


def _arguments(node: fx.Node, *names: str) -> Iterator[Any]:
    """A call's arguments by name, None where one is left out."""
    for position, name in enumerate(names):
        yield node.args[position] if position < len(node.args) else node.kwargs.get(name)


def _make_linear(module: fx.GraphModule, node: fx.Node) -> None:
    """A module of the weight's name, with the weight and the bias that the function was called with."""
    source, weight, bias = _arguments(node, "input", "weight", "bias")
    if not _is_parameter(weight) or not (bias is None or _is_parameter(bias)):
        return
    values = attribute_of(module, weight), None if bias is None else attribute_of(module, bias)
    name = str(weight.target).removesuffix(".weight")
    owner = module.get_submodule(name) if name != weight.target else None
    if not isinstance(owner, nn.Linear) or owner.weight is not values[0] or owner.bias is not values[1]:
        layer = nn.Linear(values[0].shape[1], values[0].shape[0], bias=False, device="meta")
        layer.weight = values[0]
        layer.register_parameter("bias", values[1])
        if owner is None or isinstance(owner, nn.Linear):
            name = free_name(module, str(weight.target).replace(".", "_"))
            module.add_submodule(name, layer)
        else:
            replace_module(module, name, layer)
    node.op, node.target, node.args, node.kwargs = "call_module", name, (source,), {}


def _make_layer_norm(module: fx.GraphModule, node: fx.Node) -> None:
    source, shape, weight, bias, eps = _arguments(node, "input", "normalized_shape", "weight", "bias", "eps")
    if not _is_parameter(weight) or not _is_parameter(bias):
        return
    norm = nn.LayerNorm(list(shape), eps=1e-5 if eps is None else float(eps))
    norm.weight = attribute_of(module, weight)
    norm.bias = attribute_of(module, bias)
    _call_instead(module, node, norm.train(module.training), (source,))


def _is_parameter(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.op == "get_attr"
