"""A network and its precision plan become one torch module that computes with the plan's rounding."""

from __future__ import annotations

import copy

from torch import fx, nn

from .integer_operations import behind_activation, is_computing, is_moving, is_splitting
from .plan_rules import check_plan
from .precision import PrecisionPlan
from .quantized_layers import Convolution, Int8Convolution, Int8Linear, Rounding
from .weight_only import WeightOnlyLinear


def lower(module: fx.GraphModule, plan: PrecisionPlan, *, counts_steps: bool = False) -> fx.GraphModule:
    """Gives the network with its planned layers and values in few bits: run by torch, the simulation of the plan.

    A value that an integer operation makes is handed on in integers, whoever reads it. A value that a float operation
    makes is rounded for the integer operations that read it, and stays float for the others.

    Args:
        module: A finished network (BN folded); it is left as it is.
        plan: The tensors to quantise, by the names of `precision`.
        counts_steps: Whether a convolution gives its output in steps of the output's scale where only a rounding reads
            it: to the last bit what runtimes compute, but no longer values that others could look at.

    Raises:
        ExportError: The plan names what is not there, or what cannot execute so.
    """
    check_plan(module, plan)
    lowered = copy.deepcopy(module)
    nodes = {node.name: node for node in lowered.graph.nodes}
    values = {name: nodes[name] for name in plan.values}
    integer_nodes = _integer_nodes(lowered, plan, set(values.values()))
    for node in nodes.values():
        if node.op == "call_module" and f"{node.target}.weight" in plan.tensors:
            put_module(lowered, str(node.target), _quantized(lowered, node, plan))
    for name, node in values.items():
        readers = [user for user in node.users if node in integer_nodes or user in integer_nodes]
        rounding = Rounding(plan.tensors[f"{name}.value"])
        convolution = _convolution_behind(lowered, node) if counts_steps and node in integer_nodes else None
        if convolution is not None:
            convolution.output_step, rounding.reads_steps = plan.tensors[f"{name}.value"].scale[0], True
        _insert_rounding(lowered, node, rounding, readers)
    lowered.recompile()
    return lowered


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


def _convolution_behind(module: nn.Module, node: fx.Node) -> Int8Convolution | None:
    """The int8 convolution that makes a value, with nothing or a ReLU between, which keeps steps apart as well."""
    called = module.get_submodule(str(node.target)) if node.op == "call_module" else None
    if isinstance(called, nn.ReLU):
        source = node.all_input_nodes[0]
        called = module.get_submodule(str(source.target)) if source.op == "call_module" else None
        if len(source.users) > 1:
            return None
    return called if isinstance(called, Int8Convolution) else None


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
