"""One trace of a model, shared by all techniques: its layers in order with their shapes, as one graph."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import SpaceError
from .attention import open_attention
from .channel_follower import ChannelFollower
from .channel_groups import Channels, group_channels
from .graph import (
    Convolution,
    LayerModule,
    TransposedConvolution,
    is_addition,
    is_layer,
    module_of,
    n_calls,
    only_user,
    propagate_shapes,
    replace_module,
    shape_of,
)
from .modularise import (
    ACTIVATIONS,
    give_each_activation_a_module,
    give_each_layer_a_module,
    give_each_split_a_module,
)
from .operations import Kind, kind_of
from .patch_moments import PatchMoment
from .rewriting import (
    drop_identities,
    fold_constants,
    free_flattening_of_sizes,
    make_weights_plain,
    undo_in_place,
)
from .site import LeftAlone
from .tracing import Opaque, trace_graph

__all__ = [
    "ACTIVATIONS",
    "Convolution",
    "Layer",
    "LayerModule",
    "Network",
    "TransposedConvolution",
    "describe_layer",
    "is_addition",
    "is_layer",
    "list_layers",
    "module_of",
    "n_calls",
    "only_user",
    "propagate_shapes",
    "replace_module",
    "shape_of",
    "trace",
]


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
        n_calls: How often one forward uses the layer's weight. Techniques leave a layer alone that is used several
            times: its uses stand in different places and could not be changed independently.
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

    @property
    def is_depthwise(self) -> bool:
        """Whether each input channel has a kernel of its own."""
        return self.groups == self.in_channels > 1


@dataclass(frozen=True)
class Network:
    """The traced facts about a model.

    Attributes:
        module: The model as a graph in evaluation mode, each activation call a module of its own. Never edited.
        example_inputs: One batch of every input, each of shape (n, ...).
        layers: Convolutions and linear layers in the order in which they run.
        output_layers: Names of the layers whose outputs are the model's outputs; their widths are never changed.
        left_alone: Modules that no technique can work on, with the reason.
        importances: Importance of each output channel by layer, shape (out,); layers without go by their weights.
        input_moments: Second moments E[x xᵀ] of the inputs of linear layers, shape (in, in), where measured.
        patch_moments: Moments of what lies under the kernels of convolutions, by layer, where measured.
    """

    module: fx.GraphModule
    example_inputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    output_layers: frozenset[str]
    left_alone: tuple[LeftAlone, ...] = ()
    importances: Mapping[str, Tensor] = field(default_factory=dict)
    input_moments: Mapping[str, Tensor] = field(default_factory=dict)
    patch_moments: Mapping[str, PatchMoment] = field(default_factory=dict)

    @cached_property
    def follower(self) -> ChannelFollower:
        """The channels of the uncompressed network, followed once for all who ask."""
        return ChannelFollower(self.module, self.example_inputs)

    @cached_property
    def channels(self) -> Channels:
        """Which of its channels must stay or go together."""
        return group_channels(self.follower.map)

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of all layers for one sample."""
        return sum(layer.macs for layer in self.layers)


def trace(model: nn.Module, example_inputs: Tensor | tuple[Tensor, ...]) -> Network:
    """Traces a model once for all techniques; the model itself is not touched.

    Args:
        model: Any module whose forward takes tensors.
        example_inputs: A batch, shape (n, ...), or one of every input.

    Raises:
        SpaceError: The forward cannot be traced or does not run; names the module and the line.
    """
    inputs = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    try:
        model = copy.deepcopy(model).eval()
    except RuntimeError as error:  # weights that a hook computes, as the old `torch.nn.utils.weight_norm` does
        raise SpaceError(
            f"the model must be copyable, but {' '.join(str(error).split())}; use torch.nn.utils.parametrizations"
        ) from error
    make_weights_plain(model)
    closed = open_attention(model)
    module, opaque = trace_graph(model, inputs)
    drop_identities(module)
    fold_constants(module)
    undo_in_place(module)
    give_each_layer_a_module(module)
    give_each_activation_a_module(module)
    propagate_shapes(module, inputs)
    give_each_split_a_module(module)
    free_flattening_of_sizes(module)
    propagate_shapes(module, inputs)
    module.delete_all_unused_submodules()
    return Network(module, inputs, list_layers(module), _output_layers(module), _left_alone(module, opaque, closed))


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


def list_layers(module: fx.GraphModule) -> tuple[Layer, ...]:
    """The layers of a graph whose shapes are known (`propagate_shapes`), in the order in which they run."""
    layers: dict[str, Layer] = {}
    for node in module.graph.nodes:
        if is_layer(module_of(module, node)):
            call = describe_layer(module, node)
            first = layers.get(call.name)
            positions = call.n_positions + (first.n_positions if first else 0)
            layers[call.name] = replace(call, n_positions=positions, n_calls=first.n_calls + 1 if first else 1)
    tied = _tied_modules(module)
    return tuple(replace(each, n_calls=each.n_calls + len(tied.get(each.name, ()))) for each in layers.values())


def _tied_modules(module: nn.Module) -> dict[str, list[str]]:
    """The other modules that share a parameter, by module name."""
    owners: dict[torch.nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        owners.setdefault(parameter, []).append(name.rpartition(".")[0])
    shared = [names for names in owners.values() if len(set(names)) > 1]
    return {name: [other for other in names if other != name] for names in shared for name in names}


def _left_alone(module: fx.GraphModule, opaque: tuple[Opaque, ...], closed: Mapping[str, str]) -> tuple[LeftAlone, ...]:
    """What no technique works on: opaque modules, unknown ones with parameters, tied weights."""
    found = [LeftAlone("all", each.name, f"its forward cannot be traced: {each.reason}") for each in opaque]
    found += [LeftAlone("all", name, reason) for name, reason in closed.items()]
    named = {each.name for each in found}
    for node in module.graph.nodes:
        called = module_of(module, node)
        if called is None or str(node.target) in named or kind_of(called) is not Kind.OTHER:
            continue
        if next(called.parameters(), None) is not None:
            named.add(str(node.target))
            reason = f"{type(called).__name__} is not a kind of layer that a technique works on"
            found.append(LeftAlone("all", str(node.target), reason))
    for name, others in _tied_modules(module).items():
        found.append(LeftAlone("all", name, f"its weight is tied to that of {', '.join(sorted(set(others)))}"))
    return tuple(found)


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
