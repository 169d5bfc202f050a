"""What a network's convolutions are fed: mean and covariance of the patches under their kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from ..hardware_profiles.errors import SpaceError
from .factor_layers import padding_on

BATCH = 16
"""Samples at a time: the activations of one batch are all that is held."""
MAX_PATCHES = 8_192
"""Patches of each layer that are looked at, over all samples."""


@dataclass(frozen=True, slots=True, eq=False)
class PatchMoment:
    """What the patches p under a kernel are like, padding included; float64, in the order of `weight.flatten(1)`.

    Attributes:
        covariance: E[p pᵀ] - E[p] E[p]ᵀ, shape (in · k · k, in · k · k).
        mean: E[p], shape (in · k · k,).
    """

    covariance: Tensor
    mean: Tensor


def measure_patch_moments(
    module: fx.GraphModule, calibration: Tensor | tuple[Tensor, ...], layers: Iterable[str]
) -> Mapping[str, PatchMoment]:
    """The moments of the patches that two-dimensional convolutions without groups are applied to.

    Args:
        module: The traced network; left as it is.
        calibration: Training inputs, shape (n, ...), or one tensor for every input of the network.
        layers: Names of such convolutions, padded by the same number on both sides of an axis.

    Returns:
        By layer, of at most `MAX_PATCHES` places. A layer that the pass does not call is left out.

    Raises:
        SpaceError: There are no samples.
    """
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    if len(inputs[0]) == 0:
        raise SpaceError("patch moments need at least one calibration sample, got 0: give the task more data")
    n_batches = -(-len(inputs[0]) // BATCH)
    sums = {name: _Sums(max(1, MAX_PATCHES // n_batches)) for name in layers}
    hooks = [
        module.get_submodule(name).register_forward_pre_hook(partial(_add, each), with_kwargs=True)
        for name, each in sums.items()
    ]
    try:
        with torch.no_grad():
            for batch in zip(*(torch.split(each, BATCH) for each in inputs), strict=True):
                module(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: each.moment() for name, each in sums.items() if each.n_patches}


def patches_of(layer: nn.Conv2d, inputs: Tensor, n_drawn: int, generator: torch.Generator) -> Tensor:
    """At most so many of the patches that a convolution is applied to, padding included.

    Args:
        layer: Padded by the same number on both sides of an axis.
        inputs: Shape (n, in, h, w).
        n_drawn: Of all there are; drawn, because equal steps would meet the same columns of every image.
        generator: Draws.

    Returns:
        Shape (patches, in · k · k).
    """
    padding = padding_on(layer, (0, 1))
    assert not isinstance(padding, str)
    vertical, horizontal = padding
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    windows = functional.pad(inputs, (horizontal, horizontal, vertical, vertical), mode)
    for axis, (size, stride, step) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)):
        windows = windows.unfold(2 + axis, step * (size - 1) + 1, stride)[..., ::step]
    # A view (n, positions, in, k, k), of which only what is drawn is copied.
    windows = windows.movedim(1, 3)
    n, height, width = windows.shape[:3]
    drawn = torch.randperm(n * height * width, generator=generator)[:n_drawn]
    return windows[drawn // (height * width), drawn // width % height, drawn % width].flatten(1)


class _Sums:
    """The sums over the patches of one layer so far."""

    def __init__(self, n_of_batch: int) -> None:
        self._n_of_batch = n_of_batch
        self._generator = torch.Generator().manual_seed(0)
        self._second: Tensor | None = None
        self._first: Tensor | None = None
        self.n_patches = 0

    def add(self, layer: nn.Conv2d, inputs: Tensor) -> None:
        patches = patches_of(layer, inputs, self._n_of_batch, self._generator)
        # The product of a batch in its own precision, several times as fast; the sum over batches in float64.
        second, first = (patches.T @ patches).double(), patches.double().sum(0)
        self._second = second if self._second is None else self._second + second
        self._first = first if self._first is None else self._first + first
        self.n_patches += len(patches)

    def moment(self) -> PatchMoment:
        assert self._second is not None
        assert self._first is not None
        mean = self._first / self.n_patches
        return PatchMoment(self._second / self.n_patches - torch.outer(mean, mean), mean)


def _add(sums: _Sums, layer: nn.Module, arguments: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
    assert isinstance(layer, nn.Conv2d)
    sums.add(layer, arguments[0] if arguments else named["input"])
