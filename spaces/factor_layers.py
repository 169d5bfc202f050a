"""Makes the layers of a factorisation from the layer that they replace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import SpaceError
from .graph import Convolution
from .rank_scheme import Stage

_CONVOLUTIONS: dict[int, type[Convolution]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def build_factors(layer: nn.Module, stages: Sequence[Stage], weights: Sequence[Tensor]) -> list[nn.Module]:
    """The factors in the order in which they run; the last has the layer's bias.

    Args:
        layer: The layer they replace, from which they take stride, padding, dilation, precision and device.
        stages: What each is.
        weights: Their weights, of any shape of the right size and order.

    Raises:
        SpaceError: The layer is neither a convolution nor linear.
    """
    if not isinstance(layer, Convolution | nn.Linear):
        raise SpaceError(f"only convolutions and linear layers can be factorised, got {type(layer).__name__}")
    factors: list[nn.Module] = []
    for stage, weight in zip(stages, weights, strict=True):
        # Without the usual random weights: drawing them would cost time and disturb the global generator.
        factor = _on_meta_device(layer, stage, stage is stages[-1]).to_empty(device=layer.weight.device)
        with torch.no_grad():
            factor.weight.copy_(weight.reshape(factor.weight.shape))
            if factor.bias is not None and layer.bias is not None:
                factor.bias.copy_(layer.bias)
        factors.append(factor)
    return factors


def _on_meta_device(layer: Convolution | nn.Linear, stage: Stage, is_last: bool) -> Convolution | nn.Linear:
    has_bias = is_last and layer.bias is not None
    options: dict[str, Any] = {"bias": has_bias, "device": "meta", "dtype": layer.weight.dtype}
    if isinstance(layer, nn.Linear):
        return nn.Linear(stage.in_channels, stage.out_channels, **options)
    if stage.axes:
        options |= {"padding_mode": layer.padding_mode, "padding": padding_on(layer, stage.axes)}
    for name in ("kernel_size", "stride", "dilation"):
        sizes: tuple[int, ...] = getattr(layer, name)
        options[name] = tuple(size if axis in stage.axes else 1 for axis, size in enumerate(sizes))
    convolution = _CONVOLUTIONS[len(layer.kernel_size)]
    return convolution(stage.in_channels, stage.out_channels, groups=stage.groups, **options)


def padding_on(layer: Convolution, axes: tuple[int, ...]) -> tuple[int, ...] | str:
    """The layer's padding on some axes in numbers; `same` stays a word where the two sides of an axis differ."""
    padding = layer.padding
    if padding == "same":
        totals = [step * (size - 1) for step, size in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(totals[axis] % 2 for axis in axes):
            return "same"
        padding = tuple(total // 2 for total in totals)
    elif padding == "valid":
        padding = (0,) * len(layer.kernel_size)
    assert not isinstance(padding, str)
    return tuple(size if axis in axes else 0 for axis, size in enumerate(padding))
