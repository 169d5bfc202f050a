"""Which values of a network are quantised, so that its int8 layers, and what stands between them, run in integers."""

from __future__ import annotations

from torch import fx

from ..hardware_profiles.export.integer_operations import (
    behind_activation,
    is_computing,
    is_moving,
    is_product,
    is_splitting,
    needs_output,
)


def quantized_values(module: fx.GraphModule, layers: set[str]) -> dict[fx.Node, fx.Node]:
    """The nodes whose values are quantised, each with the node that its quantisation comes from.

    These are what int8 layers read, what int8 convolutions hand on, and what additions, products, concatenations and
    poolings of quantised values give. An operation that only moves values has its input's quantisation.

    Args:
        module: A finished network.
        layers: The layers in int8, each called once.
    """
    found: dict[fx.Node, fx.Node] = {}
    nodes = [node for node in module.graph.nodes if node.op == "call_module" and str(node.target) in layers]
    for node in nodes:
        _add(found, module, node.all_input_nodes[0])
        if needs_output(module, node):
            _add(found, module, behind_activation(module, node))
    for node in module.graph.nodes:
        if not is_computing(module, node):
            continue
        result = behind_activation(module, node)
        if is_product(node) and result in found:
            _add_scaling(found, module, node)
        # The network's outputs stay in float.
        if _is_known(found, module, node.all_input_nodes) and not any(user.op == "output" for user in result.users):
            _add(found, module, result)
    return found


def _is_known(found: dict[fx.Node, fx.Node], module: fx.GraphModule, inputs: list[fx.Node]) -> bool:
    """Whether all inputs are quantised; values that were only moved since become so, too."""
    if not all(_chain(module, each)[-1] in found for each in inputs):
        return False
    for each in inputs:
        _add(found, module, each)
    return True


def _add(found: dict[fx.Node, fx.Node], module: fx.GraphModule, node: fx.Node) -> None:
    """Adds a value, and the values it was moved from, which all have one quantisation."""
    chain = _chain(module, node)
    for each in chain:
        if not is_splitting(module, each):
            found[each] = chain[-1]


def _chain(module: fx.GraphModule, node: fx.Node) -> list[fx.Node]:
    """The node and those before it back to the one that made the values."""
    chain = [node]
    while is_moving(module, chain[-1]):
        chain.append(chain[-1].all_input_nodes[0])
    return chain


def _add_scaling(found: dict[fx.Node, fx.Node], module: fx.GraphModule, node: fx.Node) -> None:
    """Where a quantised value is scaled by a small float one, as in squeeze-and-excite, the small one joins in."""
    quantized = [each for each in node.all_input_nodes if _chain(module, each)[-1] in found]
    if len(quantized) == 1:
        for each in node.all_input_nodes:
            _add(found, module, each)
