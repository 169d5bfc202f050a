"""Which values of a network are quantised, so that its int8 layers, and what stands between them, run in integers."""

from __future__ import annotations

from torch import fx

from ..hardware_profiles.export.integer_operations import (
    behind_activation,
    is_computing,
    is_maximum,
    is_moving,
    is_product,
    is_relu,
    is_splitting,
    needs_output,
)


def quantized_values(module: fx.GraphModule, layers: set[str]) -> dict[fx.Node, fx.Node]:
    """The nodes whose values are quantised, each with the node that its quantisation comes from.

    These are what int8 layers read, what int8 convolutions hand on, and what additions, products, concatenations and
    poolings of quantised values give. An operation that only moves values has its input's quantisation. A pooled
    maximum of float values is taken in float, where it is fast, and what it gives is quantised.

    Args:
        module: A finished network.
        layers: The layers in int8, each called once.
    """
    values = _Values(module, layers)
    nodes = [node for node in module.graph.nodes if node.op == "call_module" and str(node.target) in layers]
    for node in nodes:
        values.add(node.all_input_nodes[0])
        if needs_output(module, node):
            values.add(behind_activation(module, node))
    for node in module.graph.nodes:
        if not is_computing(module, node):
            continue
        result = behind_activation(module, node)
        if is_product(node) and result in values.found:
            values.add_scaling(node)
        # The network's outputs stay in float.
        if values.are_known(node.all_input_nodes) and not any(user.op == "output" for user in result.users):
            values.add(result)
    return values.found


class _Values:
    """The quantised values of a network so far.

    Attributes:
        found: Each with the node that its quantisation comes from.
    """

    def __init__(self, module: fx.GraphModule, layers: set[str]) -> None:
        self.found: dict[fx.Node, fx.Node] = {}
        self._module, self._layers = module, layers

    def add(self, node: fx.Node) -> None:
        """Adds a value, and the values it was moved from, which all have one quantisation."""
        chain = self._chain(node)
        for each in chain:
            if not is_splitting(self._module, each):
                self.found[each] = chain[-1]

    def add_scaling(self, node: fx.Node) -> None:
        """Where a quantised value is scaled by a small float one, as in squeeze-and-excite, the small one joins in."""
        if sum(self._chain(each)[-1] in self.found for each in node.all_input_nodes) == 1:
            for each in node.all_input_nodes:
                self.add(each)

    def are_known(self, nodes: list[fx.Node]) -> bool:
        """Whether all are quantised; values that were only moved since become so, too."""
        if not all(self._chain(each)[-1] in self.found for each in nodes):
            return False
        for each in nodes:
            self.add(each)
        return True

    def _chain(self, node: fx.Node) -> list[fx.Node]:
        """The node and those before it back to the one that made the values."""
        chain = [node]
        while is_moving(self._module, chain[-1]) and not self._is_float_maximum(chain[-1]):
            chain.append(chain[-1].all_input_nodes[0])
        return chain

    def _is_float_maximum(self, node: fx.Node) -> bool:
        """Whether the node is a pooled maximum that alone reads what was made in float.

        Runtimes are slow at it in integers unless an integer layer leaves them in a layout of its own.
        """
        read = node.all_input_nodes[0]
        if not is_maximum(self._module, node) or len(read.users) > 1 or is_moving(self._module, read):
            return False
        maker = read.all_input_nodes[0] if is_relu(self._module, read) else read
        return str(maker.target) not in self._layers and not is_computing(self._module, maker)
