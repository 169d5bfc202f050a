"""Reads the operators, their times and precisions, from what OpenVINO says it executed."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import openvino

from .layer_names import layer_of
from .runtime import OperatorTime

# The kinds of nodes that do a layer's multiplications.
_LAYER_TYPES = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_FUSED_TYPE = "Subgraph"
_MOVING_TYPES = frozenset({"Transpose", "Reorder", "Convert", "Reshape"})
# What it calls a linear layer with a weight in blocks of few bits, which it multiplies with as it unpacks it.
_WEIGHT_ONLY = "FullyConnectedCompressed"
_PRECISIONS = {"u8": "int8", "i8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "fp32"}


def operator_times(
    model: openvino.Model, runs: Sequence[Sequence[openvino.ProfilingInfo]], layers: Collection[str]
) -> tuple[OperatorTime, ...]:
    """Medians per node of the executed graph, in execution order.

    Args:
        model: The executed graph.
        runs: What was counted in each run.
        layers: The network's layers.
    """
    durations: dict[str, list[float]] = {}
    operators: dict[str, str] = {}
    for run in runs:
        for counted in run:
            # What was fused into another node, or computed ahead, is listed as not run.
            if counted.status == openvino.ProfilingInfo.Status.EXECUTED:
                durations.setdefault(counted.node_name, []).append(1e6 * counted.real_time.total_seconds())
                operators[counted.node_name] = counted.node_type
    nodes = {node.get_friendly_name(): node for node in model.get_ordered_ops()}
    return tuple(
        time
        for name, values in durations.items()
        if name in nodes
        for time in _times(nodes[name], operators[name], float(statistics.median(values)), layers)
    )


def _times(
    node: Any, operator: str, microseconds: float, layers: Collection[str]
) -> list[OperatorTime]:  # Any: OpenVINO's nodes are not typed
    """The time of a node, in equal parts where several layers are fused into it."""
    precision = "" if operator == _WEIGHT_ONLY else _precision(node)
    parts = _fused_layers(node, layers) or [(_layer(node, layers), precision)]
    return [OperatorTime(layer, operator, precision, microseconds / len(parts)) for layer, precision in parts]


def _fused_layers(node: Any, layers: Collection[str]) -> list[tuple[str | None, str]]:
    """The layers that are fused into one node, with their precisions; none where it is a node of another kind.

    Small linear layers in a row become one Subgraph. It lists them in order, and so it reads their weights, each in the
    type of its layer; biases and scales have a single row.
    """
    facts = _facts(node)
    if facts["layerType"] != _FUSED_TYPE:
        return []
    names = (name.removesuffix("/WithoutBiases") for name in facts["originalLayersNames"].split(","))
    fused = list(dict.fromkeys(name for name in names if name in layers))
    read = [value for value in node.input_values() if _facts(value.get_node())["layerType"] == "Const"]
    weights = [value for value in read if value.get_partial_shape().rank.get_length() == 2 and value.get_shape()[0] > 1]
    if len(fused) != len(weights):
        return []
    types = (value.get_element_type().get_type_name() for value in weights)
    return [(layer, _PRECISIONS.get(type_, "")) for layer, type_ in zip(fused, types, strict=True)]


def _layer(node: Any, layers: Collection[str]) -> str | None:  # Any: OpenVINO's nodes are not typed
    """The layer of a node by the names it was made from, or by the name of its weight.

    The last node of a network has the output's name instead of its own.
    """
    facts = _facts(node)
    names = facts["originalLayersNames"].split(",")
    found = next((layer for name in names if (layer := layer_of(name, layers)) is not None), None)
    if found is not None or facts["layerType"] not in _LAYER_TYPES:
        return found
    name = next((name for value in node.input_values()[1:2] if (name := _weight_behind(value.get_node()))), "")
    return layer_of(name, layers)


def _weight_behind(node: Any) -> str:  # Any: OpenVINO's nodes are not typed
    """The name, without its role, of the weight that a node holds or moves; empty where it is none."""
    while _facts(node)["layerType"] in _MOVING_TYPES:
        node = node.input_values()[0].get_node()
    return str(node.get_friendly_name()).removesuffix(".weight") if _facts(node)["layerType"] == "Const" else ""


def _precision(node: Any) -> str:  # Any: OpenVINO's nodes are not typed
    facts = _facts(node)
    return _PRECISIONS.get(facts["runtimePrecision"], "") if facts["layerType"] in _LAYER_TYPES else ""


def _facts(node: Any) -> Mapping[str, str]:  # Any: OpenVINO's nodes are not typed
    information = node.get_rt_info()
    return {name: information[name].astype(str) for name in ("layerType", "runtimePrecision", "originalLayersNames")}
