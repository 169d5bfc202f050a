"""Training in the few bits that weights are stored in: evenly spaced levels, by the straight-through estimator."""

from __future__ import annotations

from collections.abc import Mapping

from ..hardware_profiles.errors import TrainingError
from ..packing import CodedWeight
from ..spaces.configuration import Configuration
from ..spaces.quantized_weight import WEIGHT_BITS
from ..spaces.weight_codes import coded_of, layer_bits
from .decided_layers import check_decided, decided_layers
from .hooks import Hook, Run
from .installed_roundings import InstalledRoundings
from .weight_sharing import DURATION


class StoredRounding(Hook):
    """Over the last share of a training, layers compute with weights in the levels that will be stored.

    What the layers read and hand on is left alone: this is about storage. `QuantizationAware` may round these values at
    the same time; it leaves the weights of such layers to this hook.

    At the end each weight is exactly what its codes decode to.

    Attributes:
        weights: By layer of the trained network. Filled at the end.
    """

    def __init__(
        self, bits: Mapping[str, int], *, duration: float = DURATION, configuration: Configuration | None = None
    ) -> None:
        """Says what is rounded.

        Args:
            bits: Bits of a weight by layer; a factorised layer's are those of its factors.
            duration: Share of the steps, the last; 1 for all.
            configuration: What a network from `prepare` was prepared with.

        Raises:
            TrainingError: Bits or the duration are out of range.
        """
        for name, width in bits.items():
            if width not in WEIGHT_BITS:
                known = ", ".join(map(str, WEIGHT_BITS))
                raise TrainingError(f"bits of stored levels must be one of {known}, got {width} for {name!r}: use 4")
        if not 0 < duration <= 1:
            raise TrainingError(f"duration must be above 0 and at most 1, got {duration:g}: 1 rounds from the start")
        self._bits, self._duration = dict(bits), duration
        self._has_configuration = configuration is not None
        self.weights: dict[str, CodedWeight] = {}
        self._installed: InstalledRoundings | None = None

    @classmethod
    def of(cls, configuration: Configuration, duration: float = DURATION) -> StoredRounding | None:
        """For the layers that a configuration stores as `uniform:b`; None where there are none."""
        bits = layer_bits(configuration, "uniform")
        return cls(bits, duration=duration, configuration=configuration) if bits else None

    def start(self, run: Run) -> None:
        """Checks the layers.

        Raises:
            TrainingError: A layer is unknown.
        """
        self.weights, self._installed = {}, None
        check_decided(run.module, self._bits, has_configuration=self._has_configuration)

    def before_step(self, run: Run) -> None:
        """Puts the roundings in when it is time."""
        if self._installed is not None or not run.is_in_last(self._duration) or not run.is_merged:
            return
        self._installed = InstalledRoundings(run.module)
        for name, bits in decided_layers(run.module, self._bits).items():
            self._installed.add_weight(name, bits, learns=True)
        run.rebuild_optimiser()

    def after_step(self, run: Run) -> None:
        """Keeps learned steps within their bounds."""
        for rounding in self._installed.roundings if self._installed is not None else ():
            rounding.keep_in_bounds()

    def end(self, run: Run) -> None:
        """Takes the roundings out; each weight is as its codes have it."""
        if self._installed is None:
            return
        self.weights = {
            name: coded_of(rounding.quantized(original)) for name, rounding, original in self._installed.weights()
        }
        self._installed.remove()
        self._installed = None
        run.rebuild_optimiser()
