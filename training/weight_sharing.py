"""Training with shared weights: the entries of a layer's weight have one of a few values, and these values learn.

The gradient of a value is the sum of those of its members (Han et al. 2016, "Deep Compression", figure 3). Here each
member takes the optimiser's step for itself, and then all members of a value become their mean: the value moves by the
summed step over the number of members, which is the orthogonal projection of the step of free weights onto the weights
that share. Rates, momentum, weight decay and the clipping of gradients therefore mean what they mean without sharing;
with the bare sum, large clusters need far smaller rates than small ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..hardware_profiles.errors import TrainingError
from ..packing import CodedWeight
from ..packing.coded_weight import per_channel
from ..packing.sharing import share_weights
from ..spaces.configuration import Configuration
from ..spaces.linearise import is_linearising
from ..spaces.weight_codes import layer_bits
from .decided_layers import check_decided, decided_layers
from .hooks import Hook, Run
from .masks import trained_weight

Initial = Literal["optimal", "linear", "density", "gaussian"]
MOST_BITS = 8
DURATION = 0.5
"""Share of a fine-tune: the free weights settle first, under what else was done to the network."""


class WeightSharing(Hook):
    """Over the last share of a training, the weights of each layer share the values of a codebook.

    When it begins, each weight is clustered as it is then; from there on its indices stay and the codebook learns. What
    was zero, as under a mask, stays zero. Works beside `KeepMasked`, and beside `QuantizationAware` on the same layers
    too, if it comes after that in the list of hooks: then the shared weights are rounded for the forward pass.

    At the end each weight is exactly what its codes decode to.

    Attributes:
        weights: By layer of the trained network. Filled at the end.
    """

    def __init__(
        self,
        bits: Mapping[str, int],
        *,
        duration: float = DURATION,
        initial: Initial = "optimal",
        configuration: Configuration | None = None,
    ) -> None:
        """Says what is shared.

        Args:
            bits: Bits of an index by layer, 1 to 8; a factorised layer's are those of its factors.
            duration: Share of the steps, the last; 1 for all.
            initial: How the first codebook is found, see `packing.sharing.share_weights`.
            configuration: What a network from `prepare` was prepared with.

        Raises:
            TrainingError: Bits or the duration are out of range.
        """
        for name, width in bits.items():
            if not 1 <= width <= MOST_BITS:
                raise TrainingError(f"bits of shared weights must be 1 to {MOST_BITS}, got {width} for {name!r}: use 4")
        if not 0 < duration <= 1:
            raise TrainingError(f"duration must be above 0 and at most 1, got {duration:g}: 1 shares from the start")
        self._bits, self._duration, self._initial = dict(bits), duration, initial
        self._has_configuration = configuration is not None
        self.weights: dict[str, CodedWeight] = {}
        self._known: dict[str, CodedWeight] = {}
        self._shared: dict[str, _SharedWeight] | None = None

    @classmethod
    def of(cls, configuration: Configuration, duration: float = DURATION) -> WeightSharing | None:
        """For the layers that a configuration stores as `clusters:b`; None where there are none."""
        bits = layer_bits(configuration, "clusters")
        return cls(bits, duration=duration, configuration=configuration) if bits else None

    def start(self, run: Run) -> None:
        """Checks the layers and the recipe.

        Raises:
            TrainingError: A layer is unknown, or the recipe leaves no time.
        """
        self.weights, self._known, self._shared = {}, {}, None
        check_decided(run.module, self._bits, has_configuration=self._has_configuration)
        if self._duration < 1 and run.recipe.schedule == "snapshots":
            raise TrainingError(
                "sharing needs a schedule of one fall, got 'snapshots', whose networks would differ in what is shared: "
                "set its duration to 1"
            )
        share = self._duration + run.recipe.linearisation
        if share > 1 and is_linearising(run.module):
            raise TrainingError(
                "the duration of sharing and linearisation must be at most 1 together where activations are folded, "
                f"got {share:g}: lower one of them"
            )

    def before_step(self, run: Run) -> None:
        """Clusters the weights when it is time."""
        if self._shared is not None or not run.is_in_last(self._duration) or not run.is_merged:
            return
        self._shared = {}
        for name, bits in decided_layers(run.module, self._bits).items():
            weight = _weight(run, name)
            coded = self._known.get(name) or share_weights(
                weight.detach().cpu().contiguous(), bits, start=self._initial
            )
            self._shared[name] = _SharedWeight(coded, weight)

    def after_step(self, run: Run) -> None:
        """Makes the members of each value equal again."""
        for name, shared in (self._shared or {}).items():
            shared.project(_weight(run, name))

    def end(self, run: Run) -> None:
        """Leaves each weight as its codes have it."""
        for name, shared in (self._shared or {}).items():
            self.weights[name] = shared.coded()
            with torch.no_grad():
                _weight(run, name).copy_(self.weights[name].decode())
        self._shared = None

    def state(self) -> dict[str, Any]:
        """The codes, as soon as there are any."""
        return {name: _as_state(shared.coded()) for name, shared in (self._shared or {}).items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on with these codes."""
        self._known = {name: CodedWeight(**coded) for name, coded in state.items()}


class _SharedWeight:
    """One weight while it is trained: who its members are, and the values that they have."""

    def __init__(self, coded: CodedWeight, weight: Tensor) -> None:
        """Gives the weight, in place, the values of its codes."""
        self._coded, self._codebook = coded, coded.codebook.to(weight.device)
        indices = coded.indices.to(weight.device).flatten().long()
        # What is zero stays as it is, and takes no time: sparse weights have few others.
        self._places = (self._codebook[indices] != 0).nonzero().flatten()
        self._indices = indices[self._places]
        scale = None if coded.scale is None else coded.scale.to(weight.device)
        ones = weight.new_ones(weight.shape, dtype=torch.float64)
        self._scale = None if scale is None else (per_channel(scale, weight) * ones).flatten()[self._places]
        self._norms = self._sums(ones.flatten()[self._places] if self._scale is None else self._scale.square())
        self._set(weight)

    def project(self, weight: Tensor) -> None:
        """The nearest weight, in place, that has these members; sums are in float64, so that equals stay equal."""
        members = weight.detach().flatten()[self._places].double()
        sums = self._sums(members if self._scale is None else members * self._scale)
        self._codebook = torch.where(self._norms > 0, sums / self._norms, 0.0).float()
        self._set(weight)

    def coded(self) -> CodedWeight:
        """Its codes with the values that it has now."""
        return replace(self._coded, codebook=self._codebook.cpu())

    def _sums(self, members: Tensor) -> Tensor:
        """Of each value's members, shape (k,)."""
        return members.new_zeros(len(self._codebook)).index_add_(0, self._indices, members)

    def _set(self, weight: Tensor) -> None:
        values = torch.take(self._codebook, self._indices)
        if self._scale is not None:
            values = values * self._scale.float()
        restored = torch.zeros(weight.numel(), dtype=values.dtype, device=weight.device)
        restored[self._places] = values
        with torch.no_grad():
            weight.copy_(restored.reshape(weight.shape))


def _weight(run: Run, name: str) -> Tensor:
    return trained_weight(run.module.get_submodule(name))


def _as_state(coded: CodedWeight) -> dict[str, Tensor | None]:
    return {"indices": coded.indices, "codebook": coded.codebook, "scale": coded.scale}
