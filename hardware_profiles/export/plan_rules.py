"""What a precision plan must fulfil for a runtime to execute its layers as planned.

A runtime does not complain about a plan it cannot use: it silently computes the layer in float32. So each condition is
checked before a file is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import fx, nn

from ..errors import ExportError, unknown_name
from ..precision import Half, PrecisionPlan, TensorQuantization
from .half_precision import HalfLayer, largest_value
from .integer_operations import behind_activation, needs_output
from .quantized_layers import Convolution

# Relative; a range computed as 255 * (6 / 255) in float32 may exceed 6 by rounding.
_RANGE_TOLERANCE = 1e-6


def check_plan(module: fx.GraphModule, plan: PrecisionPlan) -> None:
    """Checks that what the plan names is there, can execute so, and is completely quantised.

    Args:
        module: The network the plan is for.
        plan: The plan.

    Raises:
        ExportError: A condition is broken.
    """
    nodes: dict[str, fx.Node] = {node.name: node for node in module.graph.nodes if node.op != "output"}
    calls = Counter(str(node.target) for node in nodes.values() if node.op == "call_module")
    layers = {str(n.target): n for n in nodes.values() if n.op == "call_module" and calls[str(n.target)] == 1}
    for name, tensor in plan.tensors.items():
        owner, _, role = name.rpartition(".")
        if role == "value":
            if owner not in nodes:
                raise ExportError(f"{unknown_name('value', owner, nodes)}; a plan is for the graph it was made from")
            _check_activation(name, tensor, module, nodes[owner])
        else:
            _check_is_layer(owner, layers)
            _check_weight(name, tensor, module.get_submodule(owner))
    for layer, half in plan.halves.items():
        _check_is_layer(layer, layers)
        _check_half(layer, half, module.get_submodule(layer))
    for layer in plan.sparse:
        _check_is_layer(layer, layers)
        if type(module.get_submodule(layer)) is not nn.Linear:
            kind = type(module.get_submodule(layer)).__name__
            raise ExportError(f"a sparse layer must be of Linear, got {kind} for {layer!r}: leave it out of the plan")
    for layer in plan.layers:
        _check_surroundings(layer, layers[layer], module, plan)


def _check_is_layer(name: str, layers: Mapping[str, fx.Node]) -> None:
    if name not in layers:
        raise ExportError(
            f"{unknown_name('layer', name, layers)}; a planned layer must be used exactly once, its BN folded"
        )


def _check_half(name: str, half: Half, layer: nn.Module) -> None:
    if not isinstance(layer, HalfLayer):
        raise ExportError(
            f"a layer in {half} must be of one of {', '.join(kind.__name__ for kind in HalfLayer.__args__)}, got "
            f"{type(layer).__name__} for {name!r}: leave it in float32"
        )
    limit = largest_value(half)
    for parameter in layer.parameters():
        largest = float(parameter.detach().abs().max())
        # Written so that NaN, which compares to nothing, is refused, too.
        if not largest <= limit:
            raise ExportError(
                f"a layer in {half} must have weights within {limit:g}, got {largest:g} for {name!r}: "
                "leave it in float32"
            )


def _check_weight(name: str, tensor: TensorQuantization, layer: nn.Module) -> None:
    possible = (nn.Linear,) if tensor.block_size else (*Convolution.__args__, nn.Linear)
    if not isinstance(layer, possible):
        raise ExportError(
            f"{name!r} must be of one of {', '.join(kind.__name__ for kind in possible)}, got "
            f"{type(layer).__name__}: leave it in float32"
        )
    bits = (4, 8) if tensor.block_size else (8,)
    if tensor.bits not in bits or not tensor.is_signed or tensor.axis != 0 or any(tensor.zero_point):
        raise ExportError(
            f"{name!r} must have {' or '.join(map(str, bits))} bits, signed, axis 0, zero points of 0, got "
            f"{tensor.bits}, {_signed(tensor)}, axis {tensor.axis}, {max(map(abs, tensor.zero_point))}: correct it"
        )
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    blocks = -(-weight.shape[1] // tensor.block_size) if tensor.block_size else 1
    if len(tensor.scale) != len(weight) * blocks:
        raise ExportError(
            f"{name!r} must have one scale per {'block' if tensor.block_size else 'output channel'} "
            f"({len(weight) * blocks}), got {len(tensor.scale)}: quantise the finished network's weights"
        )


def _check_activation(name: str, tensor: TensorQuantization, module: fx.GraphModule, node: fx.Node) -> None:
    if tensor.bits != 8 or tensor.is_signed or tensor.axis is not None:
        raise ExportError(
            f"{name!r} must have 8 bits, unsigned, axis None, got {tensor.bits}, {_signed(tensor)}, "
            f"axis {tensor.axis}: correct the plan"
        )
    activation = module.get_submodule(str(node.target)) if node.op == "call_module" else None
    if not isinstance(activation, nn.ReLU | nn.ReLU6):
        return
    # Within the activation's range the quantisation replaces it; wider, it and the layer before it stay in float32.
    limit = 6.0 if isinstance(activation, nn.ReLU6) else float("inf")
    scale, zero_point = tensor.scale[0], tensor.zero_point[0]
    lowest, highest = scale * (tensor.qmin - zero_point), scale * (tensor.qmax - zero_point)
    tolerance = _RANGE_TOLERANCE * max(abs(lowest), abs(highest))
    if lowest < -tolerance or highest > limit + tolerance:
        raise ExportError(
            f"{name!r} must have a range within the activation's 0..{limit:g}, got {lowest:g}..{highest:g}: "
            "clamp the calibrated range to it"
        )


def _check_surroundings(layer: str, node: fx.Node, module: fx.GraphModule, plan: PrecisionPlan) -> None:
    needed = {"input": node.all_input_nodes[0]}
    if needs_output(module, node):
        needed["output"] = behind_activation(module, node)
    missing = [f"{role} ({each.name})" for role, each in needed.items() if f"{each.name}.value" not in plan.tensors]
    if missing:
        raise ExportError(
            f"an int8 layer must have its {' and '.join(needed)} quantised, got no {' and '.join(missing)} "
            f"for {layer!r}: calibrate it or leave the layer in float32"
        )


def _signed(tensor: TensorQuantization) -> str:
    return "signed" if tensor.is_signed else "unsigned"
