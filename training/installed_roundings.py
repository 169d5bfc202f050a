"""Puts roundings into a module while it is trained, and takes them out again."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, fx, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from ..spaces.graph import free_name, is_layer, module_of
from .fake_quantization import ValueRounding, WeightRounding

_VALUE_BITS = 8
"""What plans have."""


class InstalledRoundings:
    """The roundings in a module, and how they are taken out.

    Attributes:
        roundings: All of them.
        values: Those of the plan's values, by their names.
    """

    def __init__(self, module: nn.Module) -> None:
        """Begins with none; a module's layers and nodes are changed in place."""
        self.values: dict[str, ValueRounding] = {}
        self.roundings: list[WeightRounding | ValueRounding] = []
        self._module = module
        self._nodes: list[fx.Node] = []
        self._inputs: list[tuple[nn.Module, str, RemovableHandle]] = []
        self._weights: list[str] = []

    def weights(self) -> Iterator[tuple[str, WeightRounding, Tensor]]:
        """Layer, its weight's rounding, and the float weight behind it."""
        for name in self._weights:
            parametrizations = self._module.get_submodule(f"{name}.parametrizations.weight")
            assert isinstance(parametrizations, parametrize.ParametrizationList)
            rounding = parametrizations[0]
            assert isinstance(rounding, WeightRounding)
            assert isinstance(parametrizations.original, Tensor)
            yield name, rounding, parametrizations.original

    def add_weight(self, name: str, bits: int, learns: bool) -> None:
        """Rounds the weight of a layer."""
        layer = self._module.get_submodule(name)
        assert is_layer(layer)
        rounding = WeightRounding(layer.weight, bits, learns_range=learns)
        parametrize.register_parametrization(layer, "weight", rounding)
        self.roundings.append(rounding)
        self._weights.append(name)

    def add_input(self, name: str, bits: int, learns: bool) -> None:
        """Rounds what a layer reads."""
        layer = self._module.get_submodule(name)
        rounding = ValueRounding(bits, learns_range=learns).to(next(layer.parameters()).device)
        called = free_name(layer, "input_rounding")
        layer.add_module(called, rounding)
        handle = layer.register_forward_pre_hook(lambda _, inputs: (rounding(inputs[0]), *inputs[1:]))
        self.roundings.append(rounding)
        self._inputs.append((layer, called, handle))

    def add_value(self, value: str, name: str, learns: bool) -> None:
        """Rounds the value of a graph's node, for all that read it."""
        module = self._module
        assert isinstance(module, fx.GraphModule)
        node = next(each for each in module.graph.nodes if each.name == name)
        highest = 6.0 if isinstance(module_of(module, node), nn.ReLU6) else float("inf")
        rounding = ValueRounding(_VALUE_BITS, learns_range=learns, highest_value=highest)
        called = free_name(module, "value_rounding")
        module.add_submodule(called, rounding.to(next(module.parameters()).device))
        # Behind all inputs where it is one: a graph begins with them.
        others = (each for each in module.graph.nodes if each.op != "placeholder")
        place = next(others) if node.op == "placeholder" else node.next
        with module.graph.inserting_before(place):
            rounded = module.graph.call_module(called)
        node.replace_all_uses_with(rounded)
        rounded.args = (node,)
        module.recompile()
        self.roundings.append(rounding)
        self._nodes.append(rounded)
        self.values[value] = rounding

    def remove(self) -> None:
        """Leaves a plain module with rounded weights."""
        for name in self._weights:
            parametrize.remove_parametrizations(self._module.get_submodule(name), "weight", leave_parametrized=True)
        for layer, called, handle in self._inputs:
            handle.remove()
            delattr(layer, called)
        for node in self._nodes:
            node.replace_all_uses_with(node.all_input_nodes[0])
            node.graph.erase_node(node)
            delattr(self._module, str(node.target))
        if isinstance(self._module, fx.GraphModule):
            self._module.recompile()
