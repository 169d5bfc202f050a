"""Traces a network to ONNX and gives its nodes the names of the layers they come from.

The names are what makes a runtime's operator times and executed precision attributable to layers.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from torch import Tensor, nn

from .errors import ExportError

_OPSET = 17
_LAYER_TYPES = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_ACTIVATION_TYPES = frozenset({"Relu", "Clip"})


@dataclass(frozen=True, slots=True)
class LayerNodes:
    """Where a layer lives in a graph.

    Attributes:
        node: The Conv, ConvTranspose, Gemm or MatMul.
        weight: Name of its weight's initializer.
        activation: The Relu or Clip that directly follows as the only consumer, None where there is none.
        output: Name of the tensor the layer hands on, after its bias and its activation.
    """

    node: NodeProto
    weight: str
    activation: NodeProto | None
    output: str


class GraphIndex:
    """Who makes, reads and holds each tensor of a graph, as it is at the time of the call."""

    def __init__(self, graph: GraphProto) -> None:
        self.initializers: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = frozenset(value.name for value in graph.output)
        self.constants = dict(self.initializers)
        self.producers = {name: node for node in graph.node for name in node.output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = attribute(node, "value", None)
            for name in dict.fromkeys(node.input):
                self.consumers[name].append(node)

    def only_consumer(self, tensor: str) -> NodeProto | None:
        """Gives the node that alone reads the tensor, None for several, none, or a graph output."""
        readers = self.consumers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None


def trace(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> ModelProto:
    """Traces a module, in evaluation mode, to an ONNX model with input "input", output "output" and a free batch.

    Args:
        module: The network; it is left as it is.
        example_inputs: One batch of every input, of any size.

    Raises:
        ExportError: The exporter fails, or there is not exactly one output.
    """
    buffer = io.BytesIO()
    batch = {0: "batch"}
    try:
        with warnings.catch_warnings():
            # The TorchScript exporter is deprecated, but takes 0.05 s per candidate, the newer one 1.5-4.5 s.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                copy.deepcopy(module).eval().cpu(),
                tuple(each.detach().cpu() for each in example_inputs),
                buffer,  # type: ignore[arg-type]  # This exporter writes to buffers too, undeclared.
                dynamo=False,
                opset_version=_OPSET,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": batch, "output": batch},
            )
    except Exception as error:  # The exporter raises many unrelated classes; the reason is what the user needs.
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"the network must be exportable to ONNX, got {type(error).__name__} ({reason}): rewrite that operation"
        ) from error
    model = onnx.load_from_string(buffer.getvalue())
    if len(model.graph.output) != 1:
        raise ExportError(f"the network must return one tensor, got {len(model.graph.output)}: wrap it to return one")
    _resolve_identities(model.graph)
    return model


def name_layers(graph: GraphProto, module: nn.Module) -> dict[str, LayerNodes]:
    """Renames each layer's nodes and tensors after it and gives them by layer, in execution order.

    The layer's node is named `<layer>` and its tensor `<layer>/output`; a Relu or Clip that alone reads it is named
    `<layer>/activation`, as is its tensor. The graph's outputs keep their names. A layer that is used several times
    has no one place and is left out.

    Args:
        graph: Traced from `module`; changed in place.
        module: Tells which layer a weight belongs to where the exporter has lost its name.
    """
    index = GraphIndex(graph)
    found: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        layer = _layer_of(node, index, module)
        if layer is not None:
            found[layer].append(node)
    used_once = {layer: nodes[0] for layer, nodes in found.items() if len(nodes) == 1}
    renamed: dict[str, str] = {}
    layers = {layer: _name_layer(layer, node, index, renamed) for layer, node in used_once.items()}
    rename_tensors(graph, renamed)
    return layers


def rename_tensors(graph: GraphProto, renamed: Mapping[str, str]) -> None:
    """Gives tensors other names wherever nodes read or make them."""
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Gives a node's attribute; Any, because its type depends on the operator."""
    return next((onnx.helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)


def _name_layer(layer: str, node: NodeProto, index: GraphIndex, renamed: dict[str, str]) -> LayerNodes:
    def name(tensor: str, new_name: str) -> str:
        if tensor in index.outputs:
            return tensor
        renamed[tensor] = new_name
        return new_name

    node.name = layer
    old, new = node.output[0], name(node.output[0], f"{layer}/output")
    follower = index.only_consumer(old)
    if node.op_type == "MatMul" and follower is not None and _adds_bias(follower, layer, index):
        # A Linear on more than two dimensions is exported as MatMul and Add.
        follower.name = f"{layer}/bias"
        old, new = follower.output[0], name(follower.output[0], f"{layer}/biased")
        follower = index.only_consumer(old)
    activation = follower if follower is not None and follower.op_type in _ACTIVATION_TYPES else None
    if activation is not None:
        activation.name = f"{layer}/activation"
        new = name(activation.output[0], f"{layer}/activation")
    return LayerNodes(node, node.input[1], activation, new)


def _adds_bias(node: NodeProto, layer: str, index: GraphIndex) -> bool:
    return node.op_type == "Add" and f"{layer}.bias" in node.input and f"{layer}.bias" in index.initializers


def _layer_of(node: NodeProto, index: GraphIndex, module: nn.Module) -> str | None:
    if node.op_type not in _LAYER_TYPES or node.input[1] not in index.initializers:
        return None
    weight = str(node.input[1])
    if weight.endswith(".weight"):
        return weight.removesuffix(".weight")
    # Without a bias, or on more than two dimensions, the exporter stores a Linear's weight transposed and nameless.
    values = numpy_helper.to_array(index.initializers[weight])
    candidates = list(_layers_with_weight(module, values.T))
    if len(candidates) > 1:
        scope = node.name.split("/")[-2] if "/" in node.name else ""
        candidates = [layer for layer in candidates if layer == scope or layer.endswith(f".{scope}")]
    return candidates[0] if len(candidates) == 1 else None


def _layers_with_weight(module: nn.Module, values: NDArray[Any]) -> Iterator[str]:
    for name, weight in module.named_parameters():
        is_alike = name.endswith(".weight") and tuple(weight.shape) == values.shape
        if is_alike and np.array_equal(weight.detach().cpu().numpy(), values):
            yield name.removesuffix(".weight")


def _resolve_identities(graph: GraphProto) -> None:
    """Gives each parameter an initializer of its own.

    The exporter keeps one of several equal parameters and reads it through Identity nodes; two layers could then not
    be quantised with scales of their own.
    """
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity" and node.input[0] in initializers]:
        twin = TensorProto()
        twin.CopyFrom(initializers[node.input[0]])
        twin.name = node.output[0]
        graph.initializer.append(twin)
        initializers[twin.name] = twin
        graph.node.remove(node)
