"""What a stage of a schedule has joined in with a training, and which stages exclude each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..hardware_profiles.errors import TrainingError
from ..packing import CodedWeight
from .gradual_pruning import GradualPruning
from .hooks import Hook
from .layer_patterns import rates_by_layer
from .masks import KeepMasked, Masks, geometric_densities, masks_by_density, masks_by_threshold
from .schedule import Gradual, Levels, Penalise, Prune, Schedule, Share, Stage
from .sparse_regularisation import SparseRegularisation
from .stored_rounding import StoredRounding
from .weight_sharing import WeightSharing


@dataclass(frozen=True, slots=True)
class Code:
    """How a layer is stored: shared values or evenly spaced levels, and bits of an index."""

    kind: Literal["share", "levels"]
    bits: int


class StageHooks:
    """The hooks of one training of a stage: its technique, and what keeps up the stages before.

    Attributes:
        hooks: In their order.
        codes: Of all layers that have one by the end.
    """

    def __init__(self, stage: Stage, rates: Mapping[str, float], masks: Masks, codes: Mapping[str, Code]) -> None:
        """Makes them.

        Args:
            stage: What is done.
            rates: By layer, see `stage_rates`.
            masks: What is to stay zero.
            codes: Of the stages before.
        """
        own = _own_code(stage)
        recoded = {name: Code(own, int(bits)) for name, bits in rates.items()} if own else {}
        self.codes = {**codes, **recoded}
        self._pruning = _pruning_hook(stage, rates)
        self._coding: list[WeightSharing | StoredRounding] = []
        for kind, hook in (("share", WeightSharing), ("levels", StoredRounding)):
            # A weight of few values stays as it is when it is coded in as many bits again.
            kept = {name: code.bits for name, code in codes.items() if code.kind == kind and name not in recoded}
            if kept:
                self._coding.append(hook(kept, duration=1.0))
        if own:
            self._coding.append(_coding_hook(stage, {name: code.bits for name, code in recoded.items()}))
        keeping = [KeepMasked(masks)] if masks else []
        self.hooks: list[Hook] = [*keeping, *([self._pruning] if self._pruning else []), *self._coding]

    def masks(self) -> Masks:
        """What the training has removed; behind its end."""
        return self._pruning.masks if self._pruning else {}

    def weights(self) -> dict[str, CodedWeight]:
        """What is stored of weights in few bits, by layer; behind the training's end."""
        return {name: coded for hook in self._coding for name, coded in hook.weights.items()}


def stage_rates(stage: Stage, layers: Sequence[str]) -> dict[str, float]:
    """The rate of every layer that a stage is for.

    Raises:
        TrainingError: A pattern matches no layer.
    """
    if stage.technique is None:
        return {}
    try:
        return rates_by_layer(stage.technique.rates, layers)
    except TrainingError as error:
        raise TrainingError(f"stage {stage.name!r}: {error}") from error


def round_masks(module: nn.Module, prune: Prune, rates: Mapping[str, float], i: int, within: Masks) -> Masks:
    """What stays in a round of pruning.

    Args:
        module: Not touched.
        prune: What the stage says.
        rates: By layer.
        i: The round, from 0.
        within: What stayed before.
    """
    if prune.threshold is not None:
        return masks_by_threshold(module, rates, within)
    densities = {name: geometric_densities(final, prune.rounds)[i] for name, final in rates.items()}
    return masks_by_density(module, densities, within)


def check_stages(schedule: Schedule, layers: Sequence[str]) -> None:
    """Makes sure that every stage can do what it says.

    Args:
        schedule: All stages.
        layers: Names of the convolutions and linear layers.

    Raises:
        TrainingError: A pattern matches no layer, or stages exclude each other.
    """
    pruned: set[str] = set()
    coded: dict[str, str] = {}
    for stage in schedule.stages:
        rates = stage_rates(stage, layers)
        if isinstance(stage.technique, Prune | Gradual | Penalise):
            if both := [name for name in rates if name in coded]:
                raise TrainingError(
                    f"a layer must be pruned before it is stored in few bits, but stage {stage.name!r} prunes "
                    f"{both[0]!r} behind stage {coded[both[0]]!r}: change their order"
                )
            pruned.update(rates)
        elif isinstance(stage.technique, Share | Levels):
            coded |= dict.fromkeys(rates, stage.name)
        if isinstance(stage.technique, Levels):
            signs = [name for name, bits in rates.items() if bits == 1 and name in pruned]
            if signs:
                raise TrainingError(
                    f"levels of 1 bit must be those of a layer that is not pruned, as they have no zero, but stage "
                    f"{stage.name!r} gives them to {signs[0]!r}: use 2, or share"
                )


def _own_code(stage: Stage) -> Literal["share", "levels"] | None:
    if stage.share is not None:
        return "share"
    return "levels" if stage.levels is not None else None


def _coding_hook(stage: Stage, bits: Mapping[str, int]) -> WeightSharing | StoredRounding:
    if stage.share is not None:
        return WeightSharing(bits, duration=stage.share.duration, initial=stage.share.initial)
    assert stage.levels is not None
    return StoredRounding(bits, duration=stage.levels.duration)


def _pruning_hook(stage: Stage, rates: Mapping[str, float]) -> GradualPruning | SparseRegularisation | None:
    if stage.gradual is not None:
        return GradualPruning(rates, duration=stage.gradual.duration, n_updates=stage.gradual.updates)
    if stage.penalise is not None:
        return SparseRegularisation(rates, stage.penalise.penalty)
    return None
