"""Gives the nodes of an ONNX graph the names of the layers they come from.

The names are what makes a runtime's operator times and executed precision attributable to layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from onnx import GraphProto, NodeProto, TensorProto

_LAYER_TYPES = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "MatMulNBits"})
# What ONNX Runtime fuses into the layer before it, which then has the name of the activation's tensor.
_ACTIVATION_TYPES = frozenset({"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh"})
_WEIGHT = ".weight"


class GraphIndex:
    """Who makes, reads and holds each tensor of a graph, as it is at the time of the call."""

    def __init__(self, graph: GraphProto) -> None:
        self.initializers: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = frozenset(value.name for value in graph.output)
        self.producers = {name: node for node in graph.node for name in node.output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                self.consumers[name].append(node)

    def only_consumer(self, tensor: str) -> NodeProto | None:
        """Gives the node that alone reads the tensor, None for several, none, or a graph output."""
        readers = self.consumers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def stored(self, tensor: str) -> str:
        """Gives the initializer behind a tensor that is dequantised from one, else the tensor's own name."""
        producer = self.producers.get(tensor)
        return producer.input[0] if producer is not None and producer.op_type == "DequantizeLinear" else tensor


def name_layers(graph: GraphProto) -> tuple[str, ...]:
    """Renames each layer's nodes and tensors after it; gives the layers in execution order.

    The layer's node is named `<layer>` and its tensor `<layer>/output`; an activation that alone reads it is named
    `<layer>/activation`, as is its tensor. The graph's outputs keep their names. A layer that is used several times
    has no one place and is left out.

    Args:
        graph: Its weights must be initializers named `<layer>.weight`; changed in place.
    """
    index = GraphIndex(graph)
    found: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        if node.op_type in _LAYER_TYPES:
            weight = index.stored(node.input[1])
            if weight in index.initializers and weight.endswith(_WEIGHT):
                found[weight.removesuffix(_WEIGHT)].append(node)
    used_once = {layer: nodes[0] for layer, nodes in found.items() if len(nodes) == 1}
    renamed: dict[str, str] = {}
    for layer, node in used_once.items():
        _name_layer(layer, node, index, renamed)
    rename_tensors(graph, renamed)
    return tuple(used_once)


def rename_tensors(graph: GraphProto, renamed: Mapping[str, str]) -> None:
    """Gives tensors other names wherever nodes read or make them."""
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)


def split_shared_parameters(graph: GraphProto) -> None:
    """Gives each parameter an initializer of its own.

    The exporter keeps one of several equal parameters and reads it through Identity nodes; a layer would lose its name.
    """
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity" and node.input[0] in initializers]:
        twin = TensorProto()
        twin.CopyFrom(initializers[node.input[0]])
        twin.name = node.output[0]
        graph.initializer.append(twin)
        initializers[twin.name] = twin
        graph.node.remove(node)


def _adds_bias(node: NodeProto, layer: str) -> bool:
    return f"{layer}.bias" in node.input or f"{layer}.float_bias" in node.input


def _name_layer(layer: str, node: NodeProto, index: GraphIndex, renamed: dict[str, str]) -> None:
    def name(tensor: str, new_name: str) -> None:
        if tensor not in index.outputs:
            renamed[tensor] = new_name

    node.name = layer
    last = node.output[0]
    name(last, f"{layer}/output")
    follower = index.only_consumer(last)
    if follower is not None and follower.op_type == "Add" and _adds_bias(follower, layer):
        follower.name = f"{layer}/bias"
        last = follower.output[0]
        name(last, f"{layer}/biased")
        follower = index.only_consumer(last)
    if follower is not None and follower.op_type in _ACTIVATION_TYPES:
        follower.name = f"{layer}/activation"
        name(follower.output[0], f"{layer}/activation")
