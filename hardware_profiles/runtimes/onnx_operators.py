"""Reads the operators, their times and precisions, from a profile that ONNX Runtime wrote."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .layer_names import layer_of
from .runtime import OperatorTime

# The operators that do a layer's multiplications.
_FLOAT_OPERATORS = frozenset({"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"})
_INT8_OPERATORS = frozenset(
    {"QLinearConv", "ConvInteger", "QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat"}
    | {"DynamicQuantizeMatMul"}
)
_FLOAT_TYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def operator_times(
    events: Sequence[Mapping[str, Any]], layers: Collection[str], n_warmup: int, n_runs: int
) -> tuple[OperatorTime, ...]:
    """Medians per node. Nodes are told apart by position, as the runtime does not keep names unique.

    Args:
        events: The profile's events, in the order in which they were written.
        layers: The network's layers.
        n_warmup: How many of the first runs are left out.
        n_runs: How many runs there were in all.
    """
    kernels = [event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    n_nodes = len(kernels) // n_runs
    assert n_nodes * n_runs == len(kernels), "sequential execution runs the same nodes each time"
    times = []
    for position in range(n_nodes):
        repeats = kernels[position + n_warmup * n_nodes :: n_nodes]
        # A Gemm fused with its activation is called `fused conv1`.
        name = str(repeats[0]["name"]).removesuffix("_kernel_time").removeprefix("fused ")
        times.append(
            OperatorTime(
                layer=layer_of(name, layers),
                operator=str(repeats[0]["args"]["op_name"]),
                precision=_precision(repeats[0]["args"]),
                microseconds=float(statistics.median(event["dur"] for event in repeats)),
            )
        )
    return tuple(times)


def _precision(arguments: Mapping[str, Any]) -> str:
    if arguments["op_name"] in _INT8_OPERATORS:
        return "int8"
    if arguments["op_name"] not in _FLOAT_OPERATORS:
        return ""
    # One mapping from the type to the shape for each input; the first is what is multiplied with the weight.
    types = [kind for each in arguments.get("input_type_shape", ()) for kind in each]
    return _FLOAT_TYPES.get(types[0] if types else "float", "")
