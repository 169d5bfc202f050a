"""Where a tensor's quantised range ends: the methods of calibration.

Source of the methods: Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..hardware_profiles.errors import SpaceError, unknown_name
from ..hardware_profiles.precision import TensorQuantization

CLIPPED_SHARES = torch.linspace(1.0, 0.4, 16)
"""Shares of the observed range tried as the quantised range."""
SHARES_IN_FEW_BITS = torch.linspace(1.0, 0.1, 19)
"""The same in fewer than 8 bits, where clipping pays most."""
PERCENTILE = 99.99
"""Share of the values, in percent, that the percentile method keeps between the ends."""
LEAST_SCALE = 1e-8
_CACHED_VALUES = 1 << 17
DEFAULT_METHOD = "minmax"

Range = tuple[float, float]
FindRange = Callable[[Tensor, Range], Range]
"""From a sample of a tensor's values, shape (n,), and the least and the greatest of all, to the ends of its range."""


def method_names() -> tuple[str, ...]:
    """The methods of calibration, sorted."""
    return tuple(sorted(_METHODS))


def quantize_activation(values: Tensor, low: float, high: float, method: str = DEFAULT_METHOD) -> TensorQuantization:
    """Affine uint8 scale and zero point of a tensor, zero among its values.

    Args:
        values: A sample of the tensor's values, shape (n,).
        low: Smallest value observed.
        high: Largest value observed.
        method: One of `method_names`: `minmax` takes the observed range, `percentile` what holds `PERCENTILE` of the
            values, `mse` the clipped range with the least squared error.

    Raises:
        SpaceError: The method is unknown.
    """
    if method not in _METHODS:
        raise SpaceError(unknown_name("calibration method", method, _METHODS))
    # Zero must be representable exactly: padding and clipped ReLUs produce it.
    low, high = _METHODS[method](values, (min(low, 0.0), max(high, 0.0)))
    high = max(high, low + 1e-6)
    zero_point = min(255, max(0, round(-low / (high - low) * 255.0)))
    return TensorQuantization(8, ((high - low) / 255.0,), (zero_point,), axis=None, is_signed=False)


def quantize_weight(weight: Tensor) -> TensorQuantization:
    """Symmetric int8 scales per output channel (axis 0) that minimise the squared error of the weights."""
    scale = least_error_scales(weight.reshape(weight.shape[0], -1), highest=127)
    return TensorQuantization(8, tuple(scale.tolist()), (0,) * len(scale), axis=0, is_signed=True)


def least_error_scales(
    rows: Tensor, highest: int, lowest: int | None = None, shares: Tensor = CLIPPED_SHARES
) -> Tensor:
    """Scales that minimise the squared error of each row's symmetric integers over the clipped ranges tried.

    Args:
        rows: Shape (rows, n).
        highest: The largest integer.
        lowest: The smallest, its negative where None.
        shares: Shares of the observed range that are tried, shape (n,).

    Returns:
        Shape (rows,).
    """
    lowest = -highest if lowest is None else lowest
    # A part at a time, so that the values stay in the processor's cache over all the shares.
    parts = torch.split(rows, max(1, _CACHED_VALUES // rows.shape[1]))
    return torch.cat([_least_error_scales(part, highest, lowest, shares) for part in parts])


def _least_error_scales(rows: Tensor, highest: int, lowest: int, shares: Tensor) -> Tensor:
    widest = rows.abs().amax(1).clamp_min(LEAST_SCALE * highest) / highest
    best, least = widest.clone(), torch.full_like(widest, torch.inf)
    for share in shares:
        scale = (widest * share)[:, None]
        error = torch.div(rows, scale).round_().clamp_(lowest, highest).mul_(scale).sub_(rows).square_().sum(1)
        best, least = torch.where(error < least, scale[:, 0], best), torch.minimum(error, least)
    return best


def _observed(values: Tensor, observed: Range) -> Range:
    return observed


def _percentile(values: Tensor, observed: Range) -> Range:
    tail = (100.0 - PERCENTILE) / 200.0
    low, high = torch.quantile(values, torch.tensor([tail, 1.0 - tail], dtype=values.dtype)).tolist()
    return min(low, 0.0), max(high, 0.0)


def _least_squared_error(values: Tensor, observed: Range) -> Range:
    """Both ends are clipped by the same share, so that the zero point stays."""
    low, high = observed[0], max(observed[1], observed[0] + 1e-6)
    zero_point = min(255, max(0, round(-low / (high - low) * 255.0)))
    scales = (high - low) / 255.0 * CLIPPED_SHARES[:, None]  # (shares, 1)
    restored = torch.div(values, scales).round_().clamp_(-zero_point, 255 - zero_point).mul_(scales)  # (shares, n)
    share = float(CLIPPED_SHARES[int(restored.sub_(values).square_().sum(1).argmin())])
    return low * share, high * share


_METHODS: Mapping[str, FindRange] = {
    "minmax": _observed,
    "mse": _least_squared_error,
    "percentile": _percentile,
}
