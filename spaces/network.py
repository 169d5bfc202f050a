"""One trace of a model, shared by all techniques: its layers in order with their shapes, and its foldable chains."""

from __future__ import annotations

import copy
import io
import math
import operator
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

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
Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
TransposedConvolution: TypeAlias = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
LayerModule: TypeAlias = Convolution | TransposedConvolution | nn.Linear
_ADDITIONS: frozenset[Any] = frozenset({operator.add, operator.iadd, torch.add, "add", "add_"})
_RESHAPES: frozenset[Any] = frozenset({torch.reshape, "view", "reshape"})
_NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a linear layer as it stands in the uncompressed network.

    Attributes:
        name: Dotted module name.
        kind: `conv`, `transposed` (convolution) or `linear`.
        kernel_size: One number per spatial dimension (1 to 3); (1, 1) for a linear layer.
        stride: Likewise.
        n_positions: Places per sample at which the kernel is applied, over all calls: output pixels, for a transposed
            convolution input pixels; 1 for a linear layer on vectors.
        n_calls: How often one forward calls the layer. Techniques leave a layer alone that is called several times:
            its calls stand in different places and could not be changed independently.
    """

    name: str
    kind: str
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int
    n_positions: int
    n_calls: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one sample."""
        return self.n_positions * math.prod(self.kernel_size) * self.in_channels // self.groups * self.out_channels


@dataclass(frozen=True, slots=True)
class Network:
    """The traced facts about a model.

    Attributes:
        module: The model as a graph in evaluation mode, each activation call a module of its own. Never edited.
        example_inputs: One batch of every input, each of shape (n, ...).
        layers: Convolutions and linear layers in the order in which they run.
        output_layers: Names of the layers whose outputs are the model's outputs; their widths are never changed.
    """

    module: fx.GraphModule
    example_inputs: tuple[Tensor, ...]
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


def trace(model: nn.Module, example_inputs: Tensor | tuple[Tensor, ...]) -> Network:
    """Traces a model once for all techniques; the model itself is not touched.

    Args:
        model: Any module whose forward takes tensors.
        example_inputs: A batch, shape (n, ...), or one of every input.

    Raises:
        SpaceError: The forward cannot be traced or does not run; names the module and the line.
    """
    inputs = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
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
    propagate_shapes(module, inputs)
    _free_flattening_of_sizes(module)
    return Network(module, inputs, _layers(module), _output_layers(module))


def propagate_shapes(module: fx.GraphModule, example_inputs: tuple[Tensor, ...]) -> None:
    """Annotates the nodes of the graph with tensor shapes by one run without gradients.

    Raises:
        SpaceError: The network does not run on that input; names the module that failed.
    """
    run = _NamingShapeProp(module)
    try:
        with torch.no_grad(), redirect_stderr(io.StringIO()):  # ShapeProp prints a traceback of its own
            run.propagate(*example_inputs)
    except Exception as error:
        raise SpaceError(
            f"the network must run on an input of shape {_shapes(example_inputs)}, but {run.current!r} failed: "
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


def is_layer(module: nn.Module | None) -> TypeGuard[LayerModule]:
    """Whether a module is one of the layers that techniques work on."""
    return isinstance(module, LayerModule)


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


def _shapes(inputs: tuple[Tensor, ...]) -> str:
    return " and ".join(str(tuple(each.shape)) for each in inputs)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _free_name(module: nn.Module, name: str) -> str:
    taken = {existing for existing, _ in module.named_modules()}
    return next(candidate for i in range(1, len(taken) + 2) if (candidate := f"{name}_{i}") not in taken)


def _layers(module: fx.GraphModule) -> tuple[Layer, ...]:
    layers: dict[str, Layer] = {}
    for node in module.graph.nodes:
        if is_layer(module_of(module, node)):
            call = describe_layer(module, node)
            first = layers.get(call.name)
            positions = call.n_positions + (first.n_positions if first else 0)
            layers[call.name] = replace(call, n_positions=positions, n_calls=first.n_calls + 1 if first else 1)
    return tuple(layers.values())


def describe_layer(module: fx.GraphModule, node: fx.Node) -> Layer:
    """The facts about the layer that a node calls; the graph's shapes must be known (`propagate_shapes`)."""
    layer = module_of(module, node)
    assert is_layer(layer)
    name = str(node.target)
    if isinstance(layer, nn.Linear):
        positions = int(shape_of(node)[1:-1].numel())
        return Layer(name, "linear", layer.in_features, layer.out_features, (1, 1), (1, 1), 1, positions)
    is_transposed = isinstance(layer, TransposedConvolution)
    positions = shape_of(node.all_input_nodes[0] if is_transposed else node)[2:].numel()
    return Layer(
        name,
        "transposed" if is_transposed else "conv",
        layer.in_channels,
        layer.out_channels,
        tuple(layer.kernel_size),
        tuple(layer.stride),
        layer.groups,
        positions,
    )


def shape_of(node: fx.Node) -> torch.Size:
    """The shape (n, ...) of a node's tensor, as the last `propagate_shapes` found it."""
    shape: torch.Size = node.meta["tensor_meta"].shape
    return shape


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
