"""Training with the rounding that a network will be deployed with, or whose codes will be stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import fx, nn

from ..hardware_profiles.errors import TrainingError
from ..hardware_profiles.export.quantized_layers import Convolution
from ..hardware_profiles.precision import TensorQuantization
from ..spaces.configuration import Configuration
from ..spaces.factorize import is_part_of
from ..spaces.linearise import is_linearising
from ..spaces.quantized_weight import WEIGHT_BITS, QuantizedWeight
from ..spaces.rounding_points import rounding_points
from ..spaces.weight_codes import layer_bits
from .decided_layers import check_decided, decided_layers
from .hooks import Hook, Run
from .installed_roundings import InstalledRoundings

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
        self._has_configuration = configuration is not None
        structure = {site: choice for site, choice in (configuration or Configuration()).items() if not _is_bits(site)}
        in_int8 = {f"{_BITS}{name}": width for name, width in bits.items() if width == _INT8}
        self._configuration = Configuration.of({**structure, **in_int8})
        # Another hook rounds these to the levels that are stored; on top of that int8 changes next to nothing.
        self._stored_otherwise = layer_bits(configuration or Configuration(), "uniform")
        self.values: dict[str, TensorQuantization] = {}
        self.weights: dict[str, QuantizedWeight] = {}
        self._installed: InstalledRoundings | None = None

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
        self._check_layers(run.module)
        if run.recipe.quantization_share > 0 and run.recipe.schedule == "snapshots":
            raise TrainingError(
                "quantization_share needs a schedule of one fall, got 'snapshots', whose networks would differ in what "
                "is rounded: set it to 0"
            )
        share = run.recipe.quantization_share + run.recipe.linearisation
        if share > 1 and is_linearising(run.module):
            raise TrainingError(
                "quantization_share and linearisation must be at most 1 together where activations are folded, got "
                f"{share:g}: lower one of them"
            )

    def before_step(self, run: Run) -> None:
        """Puts the roundings in when it is time."""
        share = run.recipe.quantization_share
        if self._installed is None and share > 0 and run.is_in_last(share) and run.is_merged:
            self._installed = InstalledRoundings(run.module)
            self._install(run.module, self._installed)
            run.rebuild_optimiser()

    def after_step(self, run: Run) -> None:
        """Keeps learned steps within their bounds."""
        for rounding in self._installed.roundings if self._installed is not None else ():
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

    def _check_layers(self, module: nn.Module) -> None:
        check_decided(module, self._bits, has_configuration=self._has_configuration)
        for each in decided_layers(module, self._bits):
            if not isinstance(module.get_submodule(each), Convolution | nn.Linear):
                kind = type(module.get_submodule(each)).__name__
                raise TrainingError(
                    f"layers that are rounded must be convolutions or linear, got {kind} for {each!r}: leave it out"
                )

    def _install(self, module: nn.Module, installed: InstalledRoundings) -> None:
        layers = decided_layers(module, self._bits)
        if isinstance(module, fx.GraphModule):
            points = rounding_points(module, self._configuration)
            layers = {name: bits for name, bits in layers.items() if bits < _INT8 or name in points.layers}
            for value, node in points.values.items():
                installed.add_value(value, node, self._learns)
        for name, bits in layers.items():
            if bits < _INT8 or not isinstance(module, fx.GraphModule):
                installed.add_input(name, bits, self._learns)
            if not any(is_part_of(name, each) for each in self._stored_otherwise):
                installed.add_weight(name, bits, self._learns)


def _is_bits(site: str) -> bool:
    return site.startswith(_BITS)
