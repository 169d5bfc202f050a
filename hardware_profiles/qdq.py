"""Writes a finished network in a given precision as one ONNX file with QuantizeLinear/DequantizeLinear pairs (QDQ).

Runtimes recognise a layer between such pairs and execute it in integers. What they need for that, and what is therefore
enforced here: unsigned activations and signed weights (U8S8), a bias in int32 whose scale is the product of the input's
and the weight's, and an activation range that the quantised range already respects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper
from torch import Tensor, nn

from .errors import ExportError
from .onnx_layers import GraphIndex, LayerNodes, attribute, name_layers, trace
from .precision import PrecisionPlan, TensorQuantization
from .qdq_rules import check_plan, check_range
from .runtimes.runtime import LAYERS_KEY

_POOLINGS = frozenset({"GlobalAveragePool", "AveragePool"})
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze"})
# Half of int32: the bias shares its accumulator with the sum of products.
_LARGEST_BIAS = 2**30


def export_onnx(module: nn.Module, example_inputs: tuple[Tensor, ...], plan: PrecisionPlan, path: Path) -> None:
    """Writes a network as an ONNX file, the planned tensors in 8 bits.

    The input is named "input", the output "output"; both are float32 and the batch is free. Nodes and tensors are named
    after their layers (see `name_layers`), and the file's metadata lists the layers.

    Args:
        module: A finished network (BN folded), one tensor in and one out; it is left as it is.
        example_inputs: One batch of every input, of any size, shape (n, ...).
        plan: The tensors to quantise, by the names of `precision`.
        path: Where to write; its folder must exist.

    Raises:
        ExportError: The network cannot be traced, or the plan names what is not there or cannot execute in 8 bits.
    """
    model = trace(module, example_inputs)
    layers = name_layers(model.graph, module)
    check_plan(plan, layers)
    _quantize(model.graph, plan, layers)
    metadata = model.metadata_props.add()
    metadata.key, metadata.value = LAYERS_KEY, json.dumps(list(layers))
    _drop_unused_initializers(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _quantize(graph: GraphProto, plan: PrecisionPlan, layers: Mapping[str, LayerNodes]) -> None:
    """Quantises the planned weights and activations of a graph in place."""
    dequantized = [node for layer in plan.layers for node in _quantize_parameters(graph, layer, layers[layer], plan)]
    owners = _activations(GraphIndex(graph), plan, layers)
    pairs = {tensor: _quantize_activation(graph, tensor, name, plan) for tensor, name in owners.items()}
    made: list[NodeProto] = [*dequantized]
    for value in graph.input:
        made.extend(pairs.get(value.name, ()))
    for node in list(graph.node):
        made.append(node)
        for output in node.output:
            made.extend(pairs.get(output.removesuffix("/float"), ()))
    del graph.node[:]
    graph.node.extend(made)


def _activations(index: GraphIndex, plan: PrecisionPlan, layers: Mapping[str, LayerNodes]) -> dict[str, str]:
    """Maps each tensor to be quantised to the plan's first name for it; all its names must agree."""
    owners: dict[str, str] = {}
    for name, quantization in plan.tensors.items():
        layer, _, role = name.rpartition(".")
        if role == "weight":
            continue
        for tensor in _tensors(name, layers[layer], quantization, index):
            first = owners.setdefault(tensor, name)
            if plan.tensors[first] != quantization:
                raise ExportError(
                    f"{first!r} and {name!r} are one tensor and must be quantised alike, got scales "
                    f"{plan.tensors[first].scale[0]:g} and {quantization.scale[0]:g}: give both the same"
                )
    return owners


def _tensors(name: str, nodes: LayerNodes, quantization: TensorQuantization, index: GraphIndex) -> tuple[str, ...]:
    """Gives the tensors that a name of the plan stands for."""
    role = name.rpartition(".")[2]
    if role == "input":
        return (nodes.node.input[0], *_pooled(nodes.node.input[0], index))
    tensor, activation = (nodes.output, nodes.activation) if role == "output" else _merged(name, nodes, index)
    check_range(name, quantization, activation, index)
    return (tensor,)


def _pooled(tensor: str, index: GraphIndex) -> tuple[str, ...]:
    """Gives the pooling's output behind a flattened tensor: quantised alike, so that the pooling runs in integers."""
    producer = index.producers.get(tensor)
    if producer is None or producer.op_type not in _RESHAPES:
        return ()
    source = producer.input[0]
    pooling = index.producers.get(source)
    if pooling is None or pooling.op_type not in _POOLINGS or index.only_consumer(source) is None:
        return ()
    return (source,)


def _merged(name: str, nodes: LayerNodes, index: GraphIndex) -> tuple[str, NodeProto | None]:
    """Finds the residual sum that reads a layer's output, after its activation."""
    add = index.only_consumer(nodes.output)
    if add is None or add.op_type != "Add":
        raise ExportError(f"{name!r} must mean the sum of an addition that alone reads the layer's output: remove it")
    activation = index.only_consumer(add.output[0])
    if activation is None or activation.op_type not in ("Relu", "Clip"):
        return add.output[0], None
    return activation.output[0], activation


def _quantize_activation(graph: GraphProto, tensor: str, name: str, plan: PrecisionPlan) -> list[NodeProto]:
    """Makes one quantised tensor of an activation, and lets all that read the float one read it instead."""
    quantization = plan.tensors[name]
    is_output = tensor in {value.name for value in graph.output}
    source, result = (f"{tensor}/float", tensor) if is_output else (tensor, f"{tensor}/dequantized")
    for node in graph.node:
        node.output[:] = [source if output == tensor else output for output in node.output]
        node.input[:] = [result if read == tensor else read for read in node.input]
    scale = _add(graph, f"{tensor}/scale", np.asarray(quantization.scale[0], np.float32))
    zero_point = _add(graph, f"{tensor}/zero_point", np.asarray(quantization.zero_point[0], np.uint8))
    integers = f"{tensor}/quantized"
    prefix = name.rpartition(".")[0] if is_output else tensor
    return [
        helper.make_node("QuantizeLinear", [source, scale, zero_point], [integers], f"{prefix}/quantize"),
        helper.make_node("DequantizeLinear", [integers, scale, zero_point], [result], f"{prefix}/dequantize"),
    ]


def _quantize_parameters(graph: GraphProto, layer: str, nodes: LayerNodes, plan: PrecisionPlan) -> list[NodeProto]:
    """Makes integers of a layer's weight and bias; gives the nodes that turn them back."""
    initializers, node = GraphIndex(graph).initializers, nodes.node
    weight = numpy_helper.to_array(initializers[nodes.weight])
    # MatMul stores (in, out), as does Gemm without transB; all others have the output channels first.
    is_transposed = node.op_type == "MatMul" or (node.op_type == "Gemm" and not attribute(node, "transB", 0))
    axis = 1 if is_transposed else 0
    has_bias = len(node.input) > 2 and bool(node.input[2])
    bias = numpy_helper.to_array(initializers[node.input[2]]) if has_bias else None
    input_scale = np.float32(plan.tensors[f"{layer}.input"].scale[0])
    scale = _weight_scale(layer, plan, weight.shape[axis], bias, input_scale)
    broad = scale.reshape([-1 if dimension == axis else 1 for dimension in range(weight.ndim)])
    limits = plan.tensors[f"{layer}.weight"]
    integers = np.clip(np.rint(weight / broad), limits.qmin, limits.qmax).astype(np.int8)
    made = [_dequantized(graph, f"{layer}.weight", integers, scale, axis)]
    if bias is not None:
        bias_scale = input_scale * scale
        made.append(_dequantized(graph, f"{layer}.bias", np.rint(bias / bias_scale).astype(np.int32), bias_scale, 0))
    for position, dequantize in enumerate(made, start=1):
        node.input[position] = dequantize.output[0]
    return made


def _weight_scale(
    layer: str, plan: PrecisionPlan, n_channels: int, bias: NDArray[np.float32] | None, input_scale: np.float32
) -> NDArray[np.float32]:
    scale = np.asarray(plan.tensors[f"{layer}.weight"].scale, np.float32)
    if len(scale) != n_channels:
        raise ExportError(
            f"'{layer}.weight' must have one scale per output channel ({n_channels}), got {len(scale)}: "
            "quantise the finished network's weights"
        )
    if bias is None:
        return scale
    # A channel of nearly no weight can have so small a scale that its bias overflows int32: widen the scale instead,
    # which only rounds away weights that are nothing beside that bias.
    return np.maximum(scale, np.abs(bias) / (input_scale * np.float32(_LARGEST_BIAS))).astype(np.float32)


def _dequantized(
    graph: GraphProto, name: str, integers: NDArray[Any], scale: NDArray[np.float32], axis: int
) -> NodeProto:
    inputs = [
        _add(graph, f"{name}/quantized", integers),
        _add(graph, f"{name}/scale", scale),
        _add(graph, f"{name}/zero_point", np.zeros(len(scale), integers.dtype)),
    ]
    return helper.make_node("DequantizeLinear", inputs, [f"{name}/dequantized"], f"{name}/dequantize", axis=axis)


def _add(graph: GraphProto, name: str, values: NDArray[Any]) -> str:
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _drop_unused_initializers(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
