"""A weight of few distinct values as what is stored of it: an index per entry, a codebook, a scale per channel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError

MOST_CODES = 256
"""Entries of a codebook: an index is one byte."""


@dataclass(frozen=True, slots=True, eq=False)
class CodedWeight:
    """Indices into a codebook, from which the weight is restored to the last bit: shared weights, uniform levels.

    Attributes:
        indices: uint8, shape (out, ...), each below the length of the codebook.
        codebook: float32, shape (k,), k at most 256. Removed weights are those whose entry is zero.
        scale: float32, shape (out,), which multiplies each output channel; None for 1.

    Raises:
        PackingError: A value breaks one of these rules.
    """

    indices: Tensor
    codebook: Tensor
    scale: Tensor | None = None

    def __post_init__(self) -> None:
        if self.indices.dtype != torch.uint8 or self.codebook.dtype != torch.float32:
            raise PackingError(
                f"indices must be uint8 and a codebook float32, got {self.indices.dtype} and {self.codebook.dtype}: "
                "convert them"
            )
        if self.codebook.dim() != 1 or not 1 <= len(self.codebook) <= MOST_CODES:
            raise PackingError(
                f"a codebook must be a row of 1 to {MOST_CODES} values, got shape {tuple(self.codebook.shape)}: "
                "use fewer"
            )
        if self.indices.numel() and int(self.indices.max()) >= len(self.codebook):
            raise PackingError(
                f"indices must be below the codebook's length {len(self.codebook)}, got {int(self.indices.max())}: "
                "give the codebook that they are for"
            )
        check_scale(self.scale, self.indices)
        if not bool(self.codebook.isfinite().all()):
            raise PackingError("every entry of a codebook must be finite, but some are not: check the weight")

    @property
    def shape(self) -> torch.Size:
        """Of the weight."""
        return self.indices.shape

    def decode(self) -> Tensor:
        """The weight, float32, shape (out, ...)."""
        # Six times as fast as indexing, which needs int64.
        weight = self.codebook.index_select(0, self.indices.reshape(-1).int()).reshape(self.shape)
        return weight if self.scale is None else weight * per_channel(self.scale, weight)

    def scaled(self, factor: Tensor) -> CodedWeight:
        """The weight with each output channel multiplied, as by a folded BatchNorm: the indices stay.

        Args:
            factor: Shape (out,).
        """
        scale = factor.float() if self.scale is None else self.scale * factor.float()
        return replace(self, scale=scale)


def per_channel(scale: Tensor, weight: Tensor) -> Tensor:
    """Scales (out,) in a shape that multiplies a weight (out, ...)."""
    return scale.reshape(-1, *[1] * (weight.dim() - 1))


def check_scale(scale: Tensor | None, weight: Tensor) -> None:
    """Refuses a scale that does not fit a weight (out, ...).

    Raises:
        PackingError: It is not float32, not finite, or not of shape (out,).
    """
    if scale is None:
        return
    if scale.dtype != torch.float32 or scale.shape != weight.shape[:1] or not bool(scale.isfinite().all()):
        raise PackingError(
            f"a scale must be {len(weight)} finite float32 numbers, one per output channel, got {scale.dtype} of shape "
            f"{tuple(scale.shape)}: give as many"
        )
