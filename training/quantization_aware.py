"""Training with the rounding that a network will be deployed with, or whose codes will be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from torch import Tensor, fx, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from ..hardware_profiles.errors import TrainingError, unknown_name
from ..hardware_profiles.export.quantized_layers import Convolution
from ..hardware_profiles.precision import TensorQuantization
from ..spaces.configuration import Configuration
from ..spaces.factorize import is_part_of
from ..spaces.graph import free_name, is_layer, module_of
from ..spaces.linearise import LinearisedActivation
from ..spaces.quantized_weight import WEIGHT_BITS, QuantizedWeight
from ..spaces.rounding_points import rounding_points
from .fake_quantization import ValueRounding, WeightRounding
from .hooks import Hook, Run
from .schedules import linearity

Ranges = Literal["learned", "calibrated"]
_BITS = "bits/"
_INT8 = 8


class QuantizationAware(Hook):
    """Over the last share of a training, `quantization_share`, layers compute with rounded weights and values.

    In a traced network, what layers of 8 bits read and hand on is rounded where the plan of the finished network has
    it. In front of layers of fewer bits, and of all layers in other modules, their inputs are rounded. BatchNorm stays
    and keeps its batch statistics: weights are rounded as they will be after folding, see `WeightRounding`.

    At the end the module is a plain float module again, its weights those that the last step's rounding gives.

    Attributes:
        values: Quantisations of values trained with, by their names in the plan; for `finish`. Filled at the end.
        weights: Codes and scales of the layers of fewer than 8 bits, by layer. Filled at the end.
    """

    def __init__(
        self,
        bits: Mapping[str, int],
        *,
        ranges: Ranges = "learned",
        configuration: Configuration | None = None,
    ) -> None:
        """Says what is rounded.

        Args:
            bits: Bits by layer; a factorised layer's are those of its factors.
            ranges: Whether steps are learned (Esser et al. 2020), or follow what is observed.
            configuration: What a network from `prepare` was prepared with.

        Raises:
            TrainingError: A width is none of `WEIGHT_BITS`.
        """
        for name, width in bits.items():
            if width not in WEIGHT_BITS:
                known = ", ".join(map(str, WEIGHT_BITS))
                raise TrainingError(f"bits must be one of {known}, got {width} for {name!r}: leave the layer out")
        self._bits, self._learns = dict(bits), ranges == "learned"
        structure = {site: choice for site, choice in (configuration or Configuration()).items() if not _is_bits(site)}
        in_int8 = {f"{_BITS}{name}": width for name, width in bits.items() if width == _INT8}
        self._configuration = Configuration.of({**structure, **in_int8})
        self.values: dict[str, TensorQuantization] = {}
        self.weights: dict[str, QuantizedWeight] = {}
        self._installed: _Installed | None = None

    @classmethod
    def of(cls, configuration: Configuration, ranges: Ranges = "learned") -> QuantizationAware | None:
        """For the layers that a configuration has in 8 bits; None where there are none."""
        bits = {
            site.removeprefix(_BITS): _INT8
            for site, choice in configuration.items()
            if _is_bits(site) and choice == _INT8
        }
        return cls(bits, ranges=ranges, configuration=configuration) if bits else None

    def start(self, run: Run) -> None:
        """Checks the layers and the recipe."""
        self.values, self.weights, self._installed = {}, {}, None
        layers = {name for name, module in run.module.named_modules() if is_layer(module)}
        for name in self._bits:
            parts = [each for each in layers if is_part_of(each, name)]
            if not parts and not isinstance(run.module, fx.GraphModule):  # a fold takes layers away
                raise TrainingError(unknown_name("layer", name, layers))
            for each in parts:
                if not isinstance(run.module.get_submodule(each), Convolution | nn.Linear):
                    kind = type(run.module.get_submodule(each)).__name__
                    raise TrainingError(
                        f"layers that are rounded must be convolutions or linear, got {kind} for {each!r}: leave it out"
                    )
        share = run.recipe.quantization_share + run.recipe.linearisation
        if share > 1 and _is_linearising(run.module):
            raise TrainingError(
                "quantization_share and linearisation must be at most 1 together where activations are folded, got "
                f"{share:g}: lower one of them"
            )

    def before_step(self, run: Run) -> None:
        """Puts the roundings in when it is time."""
        share = run.recipe.quantization_share
        n_rounded = max(1, round(share * run.n_steps)) if share > 0 else 0
        is_linear = linearity(run.progress, run.recipe.linearisation) == 1 or not _is_linearising(run.module)
        if self._installed is None and run.step >= run.n_steps - n_rounded and is_linear:
            self._installed = _Installed(run.module)
            self._install(run.module, self._installed)
            run.module.train()
            run.rebuild_optimiser()

    def after_step(self, run: Run) -> None:
        """Keeps learned steps within their bounds."""
        for rounding in self._installed.all() if self._installed is not None else ():
            rounding.keep_in_bounds()

    def end(self, run: Run) -> None:
        """Takes the roundings out, and keeps what they have learned."""
        if self._installed is None:
            return
        self.weights = {
            name: rounding.quantized(original)
            for name, rounding, original in self._installed.weights()
            if rounding.bits < _INT8
        }
        learned = {name: rounding.quantization() for name, rounding in self._installed.values.items()}
        self.values = {name: quantization for name, quantization in learned.items() if quantization is not None}
        self._installed.remove()
        self._installed = None
        run.rebuild_optimiser()

    def _install(self, module: nn.Module, installed: _Installed) -> None:
        layers = {
            name: width
            for name, each in module.named_modules()
            if is_layer(each)
            for decided, width in self._bits.items()
            if is_part_of(name, decided)
        }
        if isinstance(module, fx.GraphModule):
            points = rounding_points(module, self._configuration)
            layers = {name: bits for name, bits in layers.items() if bits < _INT8 or name in points.layers}
            for value, node in points.values.items():
                installed.add_value(value, node, self._learns)
        for name, bits in layers.items():
            if bits < _INT8 or not isinstance(module, fx.GraphModule):
                installed.add_input(name, bits, self._learns)
            installed.add_weight(name, bits, self._learns)


class _Installed:
    """The roundings in a module, and how they are taken out.

    Attributes:
        values: Those of the plan's values, by their names.
    """

    def __init__(self, module: nn.Module) -> None:
        self.values: dict[str, ValueRounding] = {}
        self._module = module
        self._nodes: list[fx.Node] = []
        self._inputs: list[tuple[nn.Module, str, RemovableHandle]] = []
        self._weights: list[str] = []

    def all(self) -> Iterator[WeightRounding | ValueRounding]:
        """Every rounding."""
        for module in self._module.modules():
            if isinstance(module, WeightRounding | ValueRounding):
                yield module

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
        self._weights.append(name)

    def add_input(self, name: str, bits: int, learns: bool) -> None:
        """Rounds what a layer reads."""
        layer = self._module.get_submodule(name)
        rounding = ValueRounding(bits, learns_range=learns).to(next(layer.parameters()).device)
        called = free_name(layer, "input_rounding")
        layer.add_module(called, rounding)
        handle = layer.register_forward_pre_hook(lambda _, inputs: (rounding(inputs[0]), *inputs[1:]))
        self._inputs.append((layer, called, handle))

    def add_value(self, value: str, name: str, learns: bool) -> None:
        """Rounds the value of a graph's node, for all that read it."""
        module = self._module
        assert isinstance(module, fx.GraphModule)
        node = next(each for each in module.graph.nodes if each.name == name)
        highest = 6.0 if isinstance(module_of(module, node), nn.ReLU6) else float("inf")
        rounding = ValueRounding(_INT8, learns_range=learns, highest_value=highest)
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


def _is_bits(site: str) -> bool:
    return site.startswith(_BITS)


def _is_linearising(module: nn.Module) -> bool:
    return any(isinstance(each, LinearisedActivation) for each in module.modules())
