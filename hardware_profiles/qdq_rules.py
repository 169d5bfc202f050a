"""What a precision plan must fulfil for a runtime to execute its layers in integers.

A runtime does not complain about a plan it cannot use: it silently computes the layer in float32. So each condition is
checked before a file is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto, numpy_helper

from .errors import ExportError, unknown_name
from .onnx_layers import GraphIndex, LayerNodes
from .precision import PrecisionPlan, TensorQuantization

_INT8_TYPES = ("Conv", "Gemm", "MatMul")
# Relative; a range computed as 255 * (6 / 255) in float32 may exceed 6 by rounding.
_RANGE_TOLERANCE = 1e-6


def check_plan(plan: PrecisionPlan, layers: Mapping[str, LayerNodes]) -> None:
    """Checks that the plan's layers are there, can execute in 8 bits, and are completely quantised.

    Args:
        plan: The plan.
        layers: The layers of the graph it is for.

    Raises:
        ExportError: A condition is broken.
    """
    for name, tensor in plan.tensors.items():
        layer, _, role = name.rpartition(".")
        if layer not in layers:
            raise ExportError(
                f"{unknown_name('layer', layer, layers)}; a planned layer must be used exactly once, its BN folded"
            )
        if layers[layer].node.op_type not in _INT8_TYPES:
            raise ExportError(
                f"8 bits must be for one of {', '.join(_INT8_TYPES)}, got {layers[layer].node.op_type} for {layer!r}: "
                "leave it in float32"
            )
        _check_kind(name, tensor, is_weight=role == "weight")
    for layer in plan.layers:
        needed = ("input", "output") if layers[layer].node.op_type == "Conv" else ("input",)
        missing = [role for role in needed if f"{layer}.{role}" not in plan.tensors]
        if missing:
            raise ExportError(
                f"an int8 layer must have its {' and '.join(needed)} quantised, got no {' and '.join(missing)} "
                f"for {layer!r}: calibrate it or leave the layer in float32"
            )


def check_range(name: str, quantization: TensorQuantization, node: NodeProto | None, index: GraphIndex) -> None:
    """Checks that a quantised range lies within the activation's, which the quantisation then replaces.

    Args:
        name: The tensor's name in the plan.
        quantization: How it is quantised.
        node: The Relu or Clip that makes the tensor, None where something else does.
        index: The graph's.

    Raises:
        ExportError: The range is wider: the activation, and the layer before it, would stay in float32.
    """
    if node is None:
        return
    low, high = (0.0, float("inf")) if node.op_type == "Relu" else _clip_bounds(node, index)
    scale, zero_point = quantization.scale[0], quantization.zero_point[0]
    lowest, highest = scale * (quantization.qmin - zero_point), scale * (quantization.qmax - zero_point)
    tolerance = _RANGE_TOLERANCE * max(abs(lowest), abs(highest))
    if lowest < low - tolerance or highest > high + tolerance:
        raise ExportError(
            f"{name!r} must have a range within the activation's {low:g}..{high:g}, got {lowest:g}..{highest:g}: "
            "clamp the calibrated range to it"
        )


def _check_kind(name: str, tensor: TensorQuantization, *, is_weight: bool) -> None:
    if tensor.bits != 8 or tensor.is_signed != is_weight or tensor.axis != (0 if is_weight else None):
        raise ExportError(
            f"{name!r} must have 8 bits, {'signed, axis 0' if is_weight else 'unsigned, axis None'}, got "
            f"{tensor.bits}, {'signed' if tensor.is_signed else 'unsigned'}, axis {tensor.axis}: correct the plan"
        )
    if is_weight and any(tensor.zero_point):
        raise ExportError(f"{name!r} must have zero points of 0, got {max(map(abs, tensor.zero_point))}: center it")


def _clip_bounds(node: NodeProto, index: GraphIndex) -> tuple[float, float]:
    bounds = [-float("inf"), float("inf")]
    for position, name in enumerate(node.input[1:3]):
        if name:
            bounds[position] = float(numpy_helper.to_array(index.constants[name]))
    return bounds[0], bounds[1]
