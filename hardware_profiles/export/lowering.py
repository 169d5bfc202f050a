"""A network and its precision plan become one torch module that computes with the plan's rounding."""

from __future__ import annotations

import copy

from torch import fx, nn

from ..precision import Half, PrecisionPlan
from .counted_steps import count_in_steps
from .half_precision import half_layer, half_nodes, insert_casts
from .integer_operations import behind_activation, is_computing, is_moving, is_splitting
from .plan_rules import check_plan
from .quantized_layers import Convolution, Int8Convolution, Int8Linear, Rounding
from .weight_only import WeightOnlyLinear


def lower(module: fx.GraphModule, plan: PrecisionPlan, *, counts_steps: bool = False) -> fx.GraphModule:
    """Gives the network with its planned layers and values in few bits: run by torch, the simulation of the plan.

    A value that an integer operation makes is handed on in integers, whoever reads it. A value that a float operation
    makes is rounded for the integer operations that read it, and stays float for the others. What half-precision layers
    make stays in their type as far as operations carry it (see `half_nodes`), and is float for all others.

    Args:
        module: A finished network (BN folded); it is left as it is.
        plan: The layers and tensors in few bits, by the names of `precision`.
        counts_steps: Whether convolutions, sums and products give their outputs in steps of the outputs' scales where
            only roundings read them: to the last bit what runtimes compute, but no longer values that others could
            look at.

    Raises:
        ExportError: The plan names what is not there, or what cannot execute so.
    """
    check_plan(module, plan)
    lowered = copy.deepcopy(module)
    nodes = {node.name: node for node in lowered.graph.nodes}
    values = {name: nodes[name] for name in plan.values}
    integer_nodes = _integer_nodes(lowered, plan, set(values.values()))
    halves = half_nodes(lowered, plan.halves, integer_nodes)
    for node in nodes.values():
        if node.op == "call_module" and f"{node.target}.weight" in plan.tensors:
            put_module(lowered, str(node.target), _quantized(lowered, node, plan))
        elif node.op == "call_module" and node.target in plan.halves:
            layer = lowered.get_submodule(node.target)
            put_module(lowered, node.target, half_layer(layer, plan.halves[node.target]))
    counted = count_in_steps(lowered, plan, integer_nodes) if counts_steps else set()
    for name, node in values.items():
        readers = [user for user in node.users if node in integer_nodes or user in integer_nodes]
        rounding = Rounding(plan.tensors[f"{name}.value"], reads_steps=name in counted)
        _insert_rounding(lowered, node, rounding, readers)
    insert_casts(lowered.graph, halves)
    lowered.recompile()
    return lowered


def values_in_half(module: fx.GraphModule, plan: PrecisionPlan) -> dict[fx.Node, Half]:
    """The nodes of a network whose values the lowered network holds in half precision, with their type."""
    nodes = {node.name: node for node in module.graph.nodes}
    integer_nodes = _integer_nodes(module, plan, {nodes[name] for name in plan.values})
    return half_nodes(module, plan.halves, integer_nodes)


def _integer_nodes(module: fx.GraphModule, plan: PrecisionPlan, values: set[fx.Node]) -> set[fx.Node]:
    """The nodes that execute in integers: planned layers, and operations between planned values that can."""
    found: set[fx.Node] = set()
    layers = set(plan.layers)
    for node in module.graph.nodes:
        if node.op == "call_module" and node.target in layers:
            found.add(node)
            result = behind_activation(module, node)
            # A linear layer's product is float where nothing asks for integers.
            if result in values:
                found.add(result)
        elif is_splitting(module, node):
            if node.all_input_nodes[0] in values:
                found.add(node)
                values = values | {node}
        elif is_moving(module, node) or is_computing(module, node):
            result = behind_activation(module, node)
            if result in values and values.issuperset(node.all_input_nodes):
                found |= {node, result}
    return found


def _quantized(module: fx.GraphModule, node: fx.Node, plan: PrecisionPlan) -> nn.Module:
    layer = module.get_submodule(str(node.target))
    quantization = plan.tensors[f"{node.target}.weight"]
    if quantization.block_size is not None:
        assert isinstance(layer, nn.Linear), "check_plan refuses other layers"
        return WeightOnlyLinear(layer, quantization)
    input_scale = plan.tensors[f"{node.all_input_nodes[0].name}.value"].scale[0]
    if isinstance(layer, nn.Linear):
        return Int8Linear(layer, quantization, input_scale)
    assert isinstance(layer, Convolution), "check_plan refuses other layers"
    return Int8Convolution(layer, quantization, input_scale)


def put_module(module: nn.Module, name: str, new: nn.Module) -> None:
    """Puts `new` in the place of the submodule called `name`."""
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)


def _insert_rounding(module: fx.GraphModule, node: fx.Node, rounding: Rounding, readers: list[fx.Node]) -> None:
    target = f"rounding_{node.name}"
    module.add_submodule(target, rounding)
    behind = node
    while behind.op == "placeholder" and behind.next.op == "placeholder":
        behind = behind.next  # All inputs come first.
    with module.graph.inserting_after(behind):
        rounded = module.graph.call_module(target, (node,))
    for reader in readers:
        reader.replace_input_with(node, rounded)
