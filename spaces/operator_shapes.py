"""The operators that may stand in a convolution's place, by name, and the layers that each consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from ..hardware_profiles.errors import SpaceError

FULL = "full"
POINTWISE, SEPARABLE, FIRE = "pointwise", "separable", "fire"
N_BESIDE = {POINTWISE: 1, SEPARABLE: 1, FIRE: 2}
"""How many of an operator's last layers give its output channels, side by side."""

Kind: TypeAlias = str


@dataclass(frozen=True, slots=True)
class PartShape:
    """One layer of an operator.

    Attributes:
        in_channels: Of the layer.
        out_channels: Of the layer.
        has_kernel: Whether it has the kernel, padding and dilation of the layer that is replaced; else it is 1 x 1.
        has_stride: Whether it has the stride of that layer; else 1.
        groups: Of the layer.
    """

    in_channels: int
    out_channels: int
    has_kernel: bool
    has_stride: bool
    groups: int = 1

    def n_weights(self, kernel_size: tuple[int, ...]) -> int:
        """Its weights, for the kernel of the layer that is replaced."""
        area = math.prod(kernel_size) if self.has_kernel else 1
        return self.in_channels * self.out_channels // self.groups * area


def parse_operator(choice: str) -> tuple[Kind, int]:
    """`"fire:16"` → `("fire", 16)`; the other operators have no number, `"separable"` → `("separable", 0)`.

    Raises:
        SpaceError: The text is no operator.
    """
    kind, _, squeezed = choice.partition(":")
    is_fire = kind == FIRE and squeezed.isdecimal() and int(squeezed) >= 1
    if not is_fire and choice not in (POINTWISE, SEPARABLE):
        raise SpaceError(
            f"an operator must be one of {POINTWISE}, {SEPARABLE}, {FIRE}:S with S a positive number, got {choice!r}: "
            "choose one of these"
        )
    return kind, int(squeezed or 0)


def operator_parts(choice: str, in_channels: int, out_channels: int) -> tuple[PartShape, ...]:
    """The layers of an operator in the order in which they run.

    `pointwise`: 1 x 1. `separable`: a k x k kernel for each channel, then 1 x 1 (MobileNet, Howard et al. 2017).
    `fire:S`: 1 x 1 to S channels, then side by side 1 x 1 for the first half of the outputs, the larger of two, and
    k x k for the others (SqueezeNet, Iandola et al. 2016, without the activation in its middle).

    Args:
        choice: The operator.
        in_channels: Of the layer that is replaced.
        out_channels: Likewise.
    """
    kind, squeezed = parse_operator(choice)
    if kind == POINTWISE:
        return (PartShape(in_channels, out_channels, has_kernel=False, has_stride=True),)
    if kind == SEPARABLE:
        depthwise = PartShape(in_channels, in_channels, has_kernel=True, has_stride=True, groups=in_channels)
        return depthwise, PartShape(in_channels, out_channels, has_kernel=False, has_stride=False)
    first, second = halves(out_channels)
    return (
        PartShape(in_channels, squeezed, has_kernel=False, has_stride=False),
        PartShape(squeezed, first, has_kernel=False, has_stride=True),
        PartShape(squeezed, second, has_kernel=True, has_stride=True),
    )


def halves(n: int) -> tuple[int, int]:
    """How many output channels come from the 1 x 1, and how many from the k x k layer of a Fire module."""
    return n - n // 2, n // 2


def operator_macs(
    choice: str,
    in_channels: int,
    out_channels: int,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    n_positions: int,
) -> int:
    """Multiply-accumulates per sample of all layers of an operator, for a layer with that many output positions."""
    return sum(
        part.n_weights(kernel_size) * positions_of(part, choice, stride, n_positions)
        for part in operator_parts(choice, in_channels, out_channels)
    )


def positions_of(part: PartShape, choice: str, stride: tuple[int, ...], n_positions: int) -> int:
    """Output positions of one layer: one in front of the stride runs at as many times those of the whole.

    What does not divide is rounded, as with the factors of a low rank.
    """
    is_in_front = parse_operator(choice)[0] == FIRE and not part.has_stride
    return n_positions * math.prod(stride) if is_in_front else n_positions
