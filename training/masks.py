"""Unstructured sparsity that survives training: which weights stay, and a hook that holds the others at zero.

A mask is a boolean tensor of the weight's shape, true where the weight stays; masks are kept by layer name. They change
what is stored, and latency only where the hardware skips zeros: most runtimes compute with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from ..hardware_profiles.errors import TrainingError
from ..spaces.sparsify import largest
from .hooks import Hook, Run
from .layer_rows import matrix_layers

Masks: TypeAlias = Mapping[str, Tensor]
"""By layer, boolean, in the shape of its weight: true where the weight stays."""
Retrain: TypeAlias = Callable[[nn.Module, Hook], object]
"""Trains a module in place with the hook joined in."""


class KeepMasked(Hook):
    """Holds masked weights at exactly zero: their gradients are zero, and what momentum moves is set back.

    Together with training in few bits it is the weight to be rounded that is held: zero stays zero in 2 bits or more.

    Attributes:
        masks: By layer.
    """

    def __init__(self, masks: Masks) -> None:
        self.masks = dict(masks)
        self._held: dict[str, tuple[Tensor, Tensor]] = {}
        self._handles: list[RemovableHandle] = []

    def start(self, run: Run) -> None:
        """Sets the masked weights to zero.

        Raises:
            TrainingError: A mask is for no layer, or of another shape than its weight.
        """
        apply_masks(run.module, self.masks)
        for name, layer in matrix_layers(run.module, self.masks).items():
            weight = trained_weight(layer)
            removed = ~self.masks[name].to(weight.device)
            self._held[name] = weight, removed
            # Without gradients, so that they neither enter the norm that gradients are clipped to nor gather momentum.
            self._handles.append(weight.register_hook(_zeroing(removed)))  # type: ignore[no-untyped-call]

    def after_step(self, run: Run) -> None:
        """Sets them to zero again, whatever the optimiser did.

        Raises:
            TrainingError: Another hook took a masked layer out of the network.
        """
        layers = dict(run.module.named_modules())
        with torch.no_grad():
            for name, (weight, removed) in self._held.items():
                if name not in layers or trained_weight(layers[name]) is not weight:
                    raise TrainingError(
                        f"a masked layer must stay as it is while it is trained, but {name!r} was replaced: "
                        "leave out its mask, or what merges it"
                    )
                weight.masked_fill_(removed, 0.0)

    def end(self, run: Run) -> None:
        """Leaves gradients alone again."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._held.clear()


def apply_masks(module: nn.Module, masks: Masks) -> None:
    """Sets the masked weights of a network to zero, in place.

    Raises:
        TrainingError: A mask is for no layer, or of another shape than its weight.
    """
    for name, layer in matrix_layers(module, masks).items():
        mask, weight = masks[name], trained_weight(layer)
        if mask.shape != weight.shape:
            raise TrainingError(
                f"a mask must have the shape of its weight {tuple(weight.shape)}, got {tuple(mask.shape)} "
                f"for {name!r}: make it of this network"
            )
        with torch.no_grad():
            weight.masked_fill_(~mask.bool().to(weight.device), 0.0)


def masks_by_threshold(module: nn.Module, quality: float | Mapping[str, float], within: Masks | None = None) -> Masks:
    """Masks out weights below `quality · std(weights of the layer)` (Han et al. 2016, "Deep Compression").

    Args:
        module: The network; not touched.
        quality: Standard deviations, one for all layers or by layer; layers without keep their weights.
        within: Masks of an earlier round: what they hold at zero stays out, and the deviation is of the rest.

    Raises:
        TrainingError: A quality is below 0 or for no layer.
    """
    masks = {}
    for name, value in _by_layer(module, quality).items():
        if not value >= 0:
            raise TrainingError(f"quality must be at least 0, got {value:g} for {name!r}: 0 keeps all weights")
        weight, before = _weight_and_mask(module, name, within)
        threshold = value * weight[before].std(correction=0) if before.any() else 0.0
        masks[name] = before & (weight.abs() >= threshold)
    return masks


def masks_by_density(module: nn.Module, density: float | Mapping[str, float], within: Masks | None = None) -> Masks:
    """Keeps the given share of each layer's weights, those of the largest magnitude.

    Args:
        module: The network; not touched.
        density: Share that stays, above 0, one for all layers or by layer; layers without keep their weights.
        within: Masks of an earlier round: what they hold at zero stays out.

    Raises:
        TrainingError: A density is not above 0 and at most 1, or for no layer.
    """
    masks = {}
    for name, value in _by_layer(module, density).items():
        weight, before = _weight_and_mask(module, name, within)
        n_kept = min(n_kept_of(weight.numel(), value, name), int(before.sum()))
        masks[name] = largest(weight.abs().masked_fill(~before, -1.0), n_kept)
    return masks


def n_kept_of(n_weights: int, density: float, name: str) -> int:
    """Weights that stay at a density, at least one.

    Raises:
        TrainingError: The density is not above 0 and at most 1.
    """
    if not 0 < density <= 1:
        raise TrainingError(
            f"density must be above 0 and at most 1, got {density:g} for {name!r}: 0.1 keeps every tenth weight"
        )
    return max(1, round(density * n_weights))


def overall_density(masks: Masks) -> float:
    """Share of the weights that stay, over all masked layers."""
    return sum(int(mask.sum()) for mask in masks.values()) / max(1, sum(mask.numel() for mask in masks.values()))


def geometric_densities(final: float, n_rounds: int) -> tuple[float, ...]:
    """Densities that take away the same share of what is left in each round, the last one `final`.

    Raises:
        TrainingError: The final density is not above 0 and at most 1, or there is no round.
    """
    if not 0 < final <= 1 or n_rounds < 1:
        raise TrainingError(
            f"rounds must be at least 1 and the final density above 0 and at most 1, got {n_rounds} and {final:g}: "
            "take for instance 4 rounds to 0.1"
        )
    return tuple(final ** ((i + 1) / n_rounds) for i in range(n_rounds))


def prune_iteratively(
    module: nn.Module, select: Sequence[Callable[[nn.Module, Masks | None], Masks]], retrain: Retrain
) -> Iterator[Masks]:
    """Prunes, retrains, prunes more; gives the masks after each round, for the caller to judge and to stop.

    Args:
        module: Changed in place.
        select: By round: (module, masks so far) → masks, for instance `masks_by_density` at falling densities.
        retrain: Called once per round with the hook that holds the masks.
    """
    masks: Masks | None = None
    for choose in select:
        masks = choose(module, masks)
        retrain(module, KeepMasked(masks))
        yield masks


def _zeroing(removed: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient.masked_fill(removed, 0.0)


def _by_layer(module: nn.Module, value: float | Mapping[str, float]) -> dict[str, float]:
    if isinstance(value, Mapping):
        matrix_layers(module, value)
        return dict(value)
    return dict.fromkeys(matrix_layers(module), value)


def _weight_and_mask(module: nn.Module, name: str, within: Masks | None) -> tuple[Tensor, Tensor]:
    """The detached weight of a layer, and its mask so far."""
    weight = trained_weight(module.get_submodule(name)).detach()
    before = within.get(name) if within is not None else None
    return weight, torch.ones_like(weight, dtype=torch.bool) if before is None else before.to(weight.device)


def trained_weight(layer: nn.Module) -> Tensor:
    """The weight that is trained: behind a rounding, the one that is rounded."""
    if parametrize.is_parametrized(layer, "weight"):
        layer = layer.get_submodule("parametrizations.weight")
    weight = layer.original if isinstance(layer, parametrize.ParametrizationList) else layer.weight
    assert isinstance(weight, Tensor)
    return weight
