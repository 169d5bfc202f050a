"""A weight in few bits as what is stored of it: integer codes and one scale per output channel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..hardware_profiles.errors import SpaceError

WEIGHT_BITS = (8, 4, 2, 1)


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedWeight:
    """Codes and scales, from which the weight is restored to the last bit.

    Attributes:
        codes: int8, shape (out, ...), within `levels(bits)`; of 1 bit each is -1 or 1.
        scale: float32, shape (out,); negative where a folded BatchNorm turned a channel round.
        bits: One of `WEIGHT_BITS`.

    Raises:
        SpaceError: A value breaks one of these rules.
    """

    codes: Tensor
    scale: Tensor
    bits: int

    def __post_init__(self) -> None:
        lowest, highest = levels(self.bits)
        if self.codes.dtype != torch.int8 or self.scale.dtype != torch.float32:
            raise SpaceError(
                f"codes must be int8 and scales float32, got {self.codes.dtype} and {self.scale.dtype}: convert them"
            )
        if self.scale.shape != self.codes.shape[:1]:
            raise SpaceError(
                f"there must be one scale per output channel ({len(self.codes)}), got shape {tuple(self.scale.shape)}: "
                "give as many"
            )
        if not bool(self.scale.isfinite().all()):
            raise SpaceError("every scale must be finite, but some are not: check the weight")
        ends = [int(end) for end in torch.aminmax(self.codes)]
        if ends[0] < lowest or ends[1] > highest or (self.bits == 1 and bool((self.codes == 0).any())):
            allowed = "-1 or 1" if self.bits == 1 else f"within {lowest}..{highest}"
            raise SpaceError(f"codes of {self.bits} bits must be {allowed}, got {ends[0]}..{ends[1]}: clamp them")

    @classmethod
    def rounded(cls, weight: Tensor, scale: Tensor, bits: int) -> QuantizedWeight:
        """The nearest codes of a weight.

        Args:
            weight: Shape (out, ...).
            scale: Shape (out,), above 0.
            bits: One of `WEIGHT_BITS`.
        """
        lowest, highest = levels(bits)
        if bits == 1:
            codes = torch.where(weight < 0, -1, 1)
        else:
            codes = (weight / per_channel(scale, weight)).round().clamp(lowest, highest)
        return cls(codes.to(torch.int8), scale.float(), bits)

    def decode(self) -> Tensor:
        """The weight, float32, shape (out, ...)."""
        return self.codes.float() * per_channel(self.scale, self.codes)

    def scaled(self, factor: Tensor) -> QuantizedWeight:
        """The weight with each output channel multiplied, as by a folded BatchNorm: the codes stay.

        Args:
            factor: Shape (out,).
        """
        return replace(self, scale=self.scale * factor.float())


def levels(bits: int) -> tuple[int, int]:
    """The lowest and the highest code of a weight.

    In 8 bits the range is symmetric, as runtimes want it; in 4 and 2 bits, where a level more counts, it is not.

    Raises:
        SpaceError: The width is none of `WEIGHT_BITS`.
    """
    if bits not in WEIGHT_BITS:
        raise SpaceError(f"bits of a weight must be one of {', '.join(map(str, WEIGHT_BITS))}, got {bits}: use one")
    if bits == 1:
        return -1, 1
    half = 1 << (bits - 1)
    return (-half if bits < 8 else 1 - half), half - 1


def per_channel(scale: Tensor, weight: Tensor) -> Tensor:
    """Scales (out,) in a shape that multiplies a weight (out, ...)."""
    return scale.reshape(-1, *[1] * (weight.dim() - 1))
