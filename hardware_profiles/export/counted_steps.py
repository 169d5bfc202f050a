"""Lets the layers and operations of a lowered network give their outputs in steps of the outputs' scales.

From its integers to those of its output a runtime has one factor. A value in steps of the output's scale needs no other
either; a value in its own unit would be divided by the scale again, and round differently.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import fx, nn

from ..precision import PrecisionPlan
from .integer_arithmetic import IntegerProduct, IntegerSum
from .integer_operations import is_product, is_sum
from .quantized_layers import Int8Convolution

_OPERATIONS: tuple[tuple[Callable[[fx.Node], bool], type[IntegerProduct] | type[IntegerSum]], ...] = (
    (is_sum, IntegerSum),
    (is_product, IntegerProduct),
)


def count_in_steps(module: fx.GraphModule, plan: PrecisionPlan, integer_nodes: Collection[fx.Node]) -> set[str]:
    """Changes int8 convolutions, sums and products so that their outputs are counted in steps, in place.

    Args:
        module: The network with its planned layers in few bits; without roundings yet, to be recompiled afterwards.
        plan: Its precision.
        integer_nodes: The nodes that execute in integers.

    Returns:
        Names of the values that are counted in steps now, to be read by roundings only.
    """
    nodes = {node.name: node for node in module.graph.nodes}
    return {
        name for name in plan.values if nodes[name] in integer_nodes and _is_counted(module, plan, name, nodes[name])
    }


def _is_counted(module: fx.GraphModule, plan: PrecisionPlan, name: str, value: fx.Node) -> bool:
    activation = module.get_submodule(str(value.target)) if value.op == "call_module" else None
    source = value
    if isinstance(activation, nn.ReLU | nn.ReLU6):
        source = value.all_input_nodes[0]
        if len(source.users) > 1:
            return False
    if not _count_output(module, plan, source, name):
        return False
    if isinstance(activation, nn.ReLU6):
        # Its upper end is no number of steps; the range of the rounding, which it bounds, stands for it.
        owner, _, name = str(value.target).rpartition(".")
        setattr(module.get_submodule(owner), name, nn.ReLU())
    return True


def _count_output(module: fx.GraphModule, plan: PrecisionPlan, node: fx.Node, value: str) -> bool:
    """Lets a node give its output in steps of a value's scale; tells whether it can."""
    result = plan.tensors[f"{value}.value"]
    layer = module.get_submodule(str(node.target)) if node.op == "call_module" else None
    if isinstance(layer, Int8Convolution):
        layer.output_step = result.scale[0]
        return True
    kind = next((kind for is_one, kind in _OPERATIONS if is_one(node)), None)
    inputs = [plan.tensors.get(f"{each.name}.value") for each in node.all_input_nodes]
    if kind is None or len(inputs) != 2 or inputs[0] is None or inputs[1] is None:
        return False
    name = f"integer_{node.name}"
    module.add_submodule(name, kind(inputs[0], inputs[1], result))
    # The node itself stays, for all who know it by name.
    node.args, node.kwargs = tuple(node.all_input_nodes), {}
    node.op, node.target = "call_module", name
    return True
