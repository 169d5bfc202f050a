"""Filters that are flips and negatives of a few others, as what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from .coded_weight import check_scale, per_channel

MIRRORED, UPSIDE_DOWN, NEGATIVE = 1, 2, 4
"""Bits of a transform: flipped along the last axis, along the one before it, and multiplied by -1."""
N_TRANSFORMS = 8


@dataclass(frozen=True, slots=True, eq=False)
class TiedWeight:
    """A few filters, and for every filter of the layer which of them it is, flipped and signed.

    Attributes:
        base: float32, shape (n, ...), of as many axes as the weight; flips need two behind the second.
        source: int16, shape (out,): which base filter.
        transform: uint8, shape (out,): a sum of `MIRRORED`, `UPSIDE_DOWN` and `NEGATIVE`.
        scale: float32, shape (out,), which multiplies each output channel; None for 1.

    Raises:
        PackingError: A value breaks one of these rules.
    """

    base: Tensor
    source: Tensor
    transform: Tensor
    scale: Tensor | None = None

    def __post_init__(self) -> None:
        types = (self.base.dtype, self.source.dtype, self.transform.dtype)
        if types != (torch.float32, torch.int16, torch.uint8):
            raise PackingError(
                f"tied filters must be float32, int16 and uint8, got {', '.join(map(str, types))}: convert them"
            )
        if self.source.dim() != 1 or self.source.shape != self.transform.shape:
            raise PackingError(
                f"every filter must have one source and one transform, got shapes {tuple(self.source.shape)} and "
                f"{tuple(self.transform.shape)}: give as many"
            )
        if len(self.source):
            lowest, highest = (int(end) for end in torch.aminmax(self.source))
            if lowest < 0 or highest >= len(self.base):
                raise PackingError(
                    f"sources must be within 0..{len(self.base) - 1}, got {lowest}..{highest}: give the base filters "
                    "that they are for"
                )
            most = N_TRANSFORMS if self.base.dim() == 4 else 1
            used = sorted(set(self.transform.tolist()))
            if any(each >= N_TRANSFORMS or (each & ~NEGATIVE) >= most for each in used):
                raise PackingError(
                    f"transforms must be sums of {NEGATIVE} and, of two-dimensional kernels, {MIRRORED} and "
                    f"{UPSIDE_DOWN}, got {used}: use these"
                )
        check_scale(self.scale, self.source)

    @property
    def shape(self) -> torch.Size:
        """Of the weight."""
        return torch.Size((len(self.source), *self.base.shape[1:]))

    def decode(self) -> Tensor:
        """The weight, float32, shape (out, ...)."""
        weight = torch.empty(self.shape)
        for transform in sorted(set(self.transform.tolist())):
            chosen = self.transform == transform
            weight[chosen] = transformed(self.base[self.source[chosen].long()], transform)
        return weight if self.scale is None else weight * per_channel(self.scale, weight)

    def scaled(self, factor: Tensor) -> TiedWeight:
        """The weight with each output channel multiplied, as by a folded BatchNorm: the filters stay.

        Args:
            factor: Shape (out,).
        """
        scale = factor.float() if self.scale is None else self.scale * factor.float()
        return replace(self, scale=scale)

    def refit(self, weight: Tensor) -> TiedWeight:
        """The nearest weight of the same ties and scales, by least squares.

        Args:
            weight: Shape (out, ...).
        """
        scale = torch.ones(len(self.source)) if self.scale is None else self.scale
        undone = weight.detach().float().clone()
        for transform in sorted(set(self.transform.tolist())):
            chosen = self.transform == transform
            undone[chosen] = transformed(undone[chosen], transform)
        source = self.source.long()
        sums = torch.zeros_like(self.base).index_add_(0, source, undone * per_channel(scale, undone))
        norms = torch.zeros(len(self.base)).index_add_(0, source, scale.square())
        base = torch.where(per_channel(norms, sums) > 0, sums / per_channel(norms, sums), self.base)
        return replace(self, base=base)


def transformed(filters: Tensor, transform: int) -> Tensor:
    """Filters (n, ...) flipped and signed alike; each transform is its own inverse."""
    axes = [axis for bit, axis in ((MIRRORED, -1), (UPSIDE_DOWN, -2)) if transform & bit]
    flipped = filters.flip(axes) if axes else filters
    return -flipped if transform & NEGATIVE else flipped
