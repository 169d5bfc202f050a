"""One trace of a model, shared by all techniques: its layers in order with their shapes, and its foldable chains."""

from __future__ import annotations

import copy
import io
import operator
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

from ..hardware_profiles.errors import SpaceError

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Tanh, nn.Sigmoid)
_FUNCTIONAL_ACTIVATIONS: dict[Any, Callable[..., nn.Module]] = {
    torch.relu: nn.ReLU,
    functional.relu: nn.ReLU,
    functional.relu6: nn.ReLU6,
    functional.silu: nn.SiLU,
    functional.gelu: nn.GELU,
    functional.hardswish: nn.Hardswish,
    "relu": nn.ReLU,
    "relu_": partial(nn.ReLU, inplace=True),
}
_ADDITIONS: frozenset[Any] = frozenset({operator.add, operator.iadd, torch.add, "add", "add_"})
_RESHAPES: frozenset[Any] = frozenset({torch.reshape, "view", "reshape"})
_NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a linear layer as it stands in the uncompressed network.

    Attributes:
        name: Dotted module name.
        kind: `conv` or `linear`.
        kernel_size: Height and width; (1, 1) for a linear layer.
        output_positions: Output pixels per channel and sample, over all calls; 1 for a linear layer on vectors.
        n_calls: How often one forward calls the layer. Techniques leave a layer alone that is called several times:
            its calls stand in different places and could not be changed independently.
    """

    name: str
    kind: str
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    groups: int
    output_positions: int
    n_calls: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one sample."""
        kernel = self.kernel_size[0] * self.kernel_size[1]
        return self.output_positions * kernel * self.in_channels // self.groups * self.out_channels


@dataclass(frozen=True, slots=True)
class Network:
    """The traced facts about a model.

    Attributes:
        module: The model as a graph in evaluation mode, each activation call a module of its own. Never edited.
        example_input: One input batch, shape (n, ...).
        layers: Convolutions and linear layers in the order in which they run.
        output_layers: Names of the layers whose outputs are the model's outputs; their widths are never changed.
    """

    module: fx.GraphModule
    example_input: Tensor
    layers: tuple[Layer, ...]
    output_layers: frozenset[str]

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of all layers for one sample."""
        return sum(layer.macs for layer in self.layers)


class _NamingTracer(fx.Tracer):
    """Remembers which module was being traced, so that a failure can name it."""

    def __init__(self) -> None:
        super().__init__()
        self.current = ""

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        outer, self.current = self.current, self.path_of_module(m)
        result = super().call_module(m, forward, args, kwargs)
        self.current = outer
        return result


class _NamingShapeProp(ShapeProp):
    """Remembers which node was running, so that a failure can name it."""

    current = ""

    def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
        self.current = str(n.target)
        return super().run_node(n)


def trace(model: nn.Module, example_input: Tensor) -> Network:
    """Traces a model once for all techniques; the model itself is not touched.

    Args:
        model: Any module whose forward takes one tensor.
        example_input: A batch, shape (n, ...).

    Raises:
        SpaceError: The forward cannot be traced or does not run; names the module and the line.
    """
    model = copy.deepcopy(model).eval()
    tracer = _NamingTracer()
    try:
        module = fx.GraphModule(model, tracer.trace(model))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        user_frame = next((f for f in reversed(where) if not f.filename.startswith(_NOT_THE_USERS)), where[-1])
        raise SpaceError(
            f"the network's forward must be traceable, but module {tracer.current or '(root)'!r} is not: "
            f"{_one_line(error)} ({user_frame.filename}:{user_frame.lineno}); remove data-dependent control flow there"
        ) from error
    _drop_identities(module)
    _give_each_activation_a_module(module)
    propagate_shapes(module, example_input)
    _free_flattening_of_sizes(module)
    return Network(module, example_input, _layers(module), _output_layers(module))


def propagate_shapes(module: fx.GraphModule, example_input: Tensor) -> None:
    """Annotates the nodes of the graph with tensor shapes by one run without gradients.

    Raises:
        SpaceError: The network does not run on that input; names the module that failed.
    """
    run = _NamingShapeProp(module)
    try:
        with torch.no_grad(), redirect_stderr(io.StringIO()):  # ShapeProp prints a traceback of its own
            run.propagate(example_input)
    except Exception as error:
        raise SpaceError(
            f"the network must run on an input of shape {tuple(example_input.shape)}, but {run.current!r} failed: "
            f"{_one_line(error.__cause__ or error)}"
        ) from error


def module_of(module: nn.Module, node: object) -> nn.Module | None:
    """The submodule that a graph node calls, or None where it calls something else."""
    if isinstance(node, fx.Node) and node.op == "call_module":
        return module.get_submodule(str(node.target))
    return None


def replace_module(module: nn.Module, name: str, new: nn.Module) -> None:
    """Puts `new` in the place of the submodule called `name`."""
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)


def is_addition(node: object) -> bool:
    """Whether a graph node is the plain sum of two tensors."""
    return (
        isinstance(node, fx.Node)
        and node.op in ("call_function", "call_method")
        and node.target in _ADDITIONS
        and len(node.all_input_nodes) == 2
        and "alpha" not in node.kwargs
    )


def only_user(node: fx.Node) -> fx.Node | None:
    """The single node that reads this one, or None where there are several or none."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def n_calls(module: fx.GraphModule, node: fx.Node) -> int:
    """How often the graph calls the submodule that a node calls."""
    return sum(other.op == "call_module" and other.target == node.target for other in module.graph.nodes)


def is_layer(module: nn.Module | None) -> bool:
    """Whether a module is one of the layers that techniques work on."""
    return isinstance(module, nn.Conv2d | nn.Linear)


def _drop_identities(module: fx.GraphModule) -> None:
    """Takes out `nn.Identity`, behind which a shortcut would not be recognised."""
    for node in list(module.graph.nodes):
        if isinstance(module_of(module, node), nn.Identity):
            node.replace_all_uses_with(node.all_input_nodes[0])
            module.graph.erase_node(node)


def _give_each_activation_a_module(module: fx.GraphModule) -> None:
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
            node.target = _free_name(module, str(node.target))
            module.add_submodule(str(node.target), activation)
        elif functional_type is not None:
            name = _free_name(module, node.name)
            options = {key: value for key, value in node.kwargs.items() if key != "input"}
            module.add_submodule(name, functional_type(*node.args[1:], **options))
            node.op, node.target, node.args, node.kwargs = "call_module", name, (node.all_input_nodes[0],), {}
        if node.op == "call_module":
            seen.add(str(node.target))
    module.recompile()


def _free_flattening_of_sizes(module: fx.GraphModule) -> None:
    """`x.view(-1, 400)` becomes `torch.flatten(x, 1)`, which stays right when pruning leaves fewer than 400."""
    for node in module.graph.nodes:
        if node.op not in ("call_function", "call_method") or node.target not in _RESHAPES:
            continue
        source = node.all_input_nodes[0]
        before, after = source.meta["tensor_meta"].shape, node.meta["tensor_meta"].shape
        if len(before) > 2 and tuple(after) == (before[0], before[1:].numel()):
            node.op, node.target, node.args, node.kwargs = "call_function", torch.flatten, (source, 1), {}
    module.recompile()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _free_name(module: nn.Module, name: str) -> str:
    taken = {existing for existing, _ in module.named_modules()}
    return next(candidate for i in range(1, len(taken) + 2) if (candidate := f"{name}_{i}") not in taken)


def _layers(module: fx.GraphModule) -> tuple[Layer, ...]:
    layers: dict[str, Layer] = {}
    for node in module.graph.nodes:
        submodule = module_of(module, node)
        if isinstance(submodule, nn.Conv2d | nn.Linear):
            call = describe_layer(str(node.target), submodule, node.meta["tensor_meta"].shape)
            first = layers.get(call.name)
            positions = call.output_positions + (first.output_positions if first else 0)
            layers[call.name] = replace(call, output_positions=positions, n_calls=first.n_calls + 1 if first else 1)
    return tuple(layers.values())


def describe_layer(name: str, module: nn.Conv2d | nn.Linear, output_shape: torch.Size) -> Layer:
    """The facts about one layer, given the shape (n, ...) of its output."""
    if isinstance(module, nn.Linear):
        positions = int(output_shape[1:-1].numel())
        return Layer(name, "linear", module.in_features, module.out_features, (1, 1), (1, 1), 1, positions)
    kernel, stride = (module.kernel_size[0], module.kernel_size[1]), (module.stride[0], module.stride[1])
    positions = int(output_shape[2:].numel())
    return Layer(name, "conv", module.in_channels, module.out_channels, kernel, stride, module.groups, positions)


def _output_layers(module: fx.GraphModule) -> frozenset[str]:
    """The layers that reach the output without another layer between."""
    found: set[str] = set()
    pending = [node for node in module.graph.nodes if node.op == "output"]
    seen: set[fx.Node] = set()
    while pending:
        node = pending.pop()
        for source in node.all_input_nodes:
            if source in seen:
                continue
            seen.add(source)
            if is_layer(module_of(module, source)):
                found.add(str(source.target))
            else:
                pending.append(source)
    return frozenset(found)
