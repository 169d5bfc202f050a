"""Keeps layers in float32 that a runtime would silently compute in int8.

ONNX Runtime's optimizer (`WeightBiasQuantization`) takes a convolution or Gemm between a DequantizeLinear and a
QuantizeLinear for a forgotten one and rounds its weight itself, with one scale for the whole tensor. It only does so
behind a DequantizeLinear of a single scale; so a float layer reads its input through one of a scale per channel, all of
them the same number.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, NodeProto, helper, numpy_helper

from .onnx_layers import GraphIndex

_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm"})
# The optimizer moves a DequantizeLinear behind these, next to the layer that reads them.
_MOVING = frozenset({"MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather"})


def keep_in_float(graph: GraphProto) -> None:
    """Gives each float layer that reads integers, moved or not, a DequantizeLinear of its own, in place."""
    index = GraphIndex(graph)
    made: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        if node.op_type not in _LAYERS or node.input[1] not in index.initializers:
            continue
        tensor = node.input[0]
        source = _dequantized_at(tensor, index)
        if source is not None:
            if tensor not in made:
                made[tensor] = _per_channel(graph, index, source, tensor, _n_inputs(node, index))
            node.input[0] = made[tensor][-1].output[0]
    if made:
        nodes = [each for node in graph.node for each in (node, *(n for o in node.output for n in made.get(o, ())))]
        del graph.node[:]
        graph.node.extend(nodes)


def _dequantized_at(tensor: str, index: GraphIndex) -> NodeProto | None:
    """The DequantizeLinear whose values a tensor holds, moved at most."""
    source = index.producers.get(tensor)
    while source is not None and source.op_type in _MOVING:
        source = index.producers.get(source.input[0])
    return source if source is not None and source.op_type == "DequantizeLinear" else None


def _n_inputs(node: NodeProto, index: GraphIndex) -> int:
    """Input channels of a layer by its weight's shape."""
    shape = index.initializers[node.input[1]].dims
    if node.op_type == "Conv":
        return int(shape[1]) * _attribute(node, "group", 1)
    if node.op_type == "ConvTranspose":
        return int(shape[0])
    return int(shape[1 if _attribute(node, "transB", 0) else 0])


def _attribute(node: NodeProto, name: str, default: int) -> int:
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def _per_channel(
    graph: GraphProto, index: GraphIndex, source: NodeProto, tensor: str, n_channels: int
) -> list[NodeProto]:
    """The nodes that give a tensor per channel: from the integers of `source`, or from its own made anew."""
    nodes = []
    integers = source.input[0]
    if tensor != source.output[0]:
        integers = f"{tensor}/integers"
        nodes.append(helper.make_node("QuantizeLinear", [tensor, *source.input[1:3]], [integers], name=integers))
    names = [integers]
    for old, kind in zip(source.input[1:3], ("scales", "zero_points"), strict=True):
        value = numpy_helper.to_array(index.initializers[old])
        names.append(f"{tensor}/{kind}")
        graph.initializer.append(numpy_helper.from_array(np.full(n_channels, value), names[-1]))
    output = f"{tensor}/float"
    return [*nodes, helper.make_node("DequantizeLinear", names, [output], name=output, axis=1)]
