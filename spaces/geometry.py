"""Kernel, stride, padding, dilation and groups of a layer, and of the layer that several make one after the other.

Source: METHODS section 6; kernel `K = k1 + s1 (k2 - 1)`, stride `s1 s2`, padding `p1 + s1 p2`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from .graph import Convolution

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of a convolution with zero padding, one number per spatial dimension; a linear layer has none.

    Attributes:
        in_channels: Channels that it reads.
        out_channels: Channels that it gives.
        kernel: Taps.
        stride: Pixels from one output to the next.
        padding: Zeros at either side.
        dilation: Pixels from one tap to the next.
        groups: Blocks of channels that do not mix.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    @classmethod
    def of(cls, layer: Convolution | nn.Linear) -> Geometry:
        """That of a layer whose padding is given in numbers."""
        if isinstance(layer, nn.Linear):
            return cls(layer.in_features, layer.out_features)
        return cls(
            layer.in_channels,
            layer.out_channels,
            tuple(layer.kernel_size),
            tuple(layer.stride),
            tuple(map(int, layer.padding)),
            tuple(layer.dilation),
            layer.groups,
        )

    @property
    def extent(self) -> tuple[int, ...]:
        """Pixels that the kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def n_weights(self) -> int:
        """Weights, without the bias."""
        return self.in_channels // self.groups * self.out_channels * math.prod(self.kernel)

    @property
    def is_centred(self) -> bool:
        """Whether a middle tap reads the pixel that its output stands over: an odd kernel padded by half its span."""
        spans = zip(self.kernel, self.padding, self.extent, strict=True)
        return all(kernel % 2 == 1 and 2 * padding == extent - 1 for kernel, padding, extent in spans)

    @property
    def centre(self) -> tuple[int, ...]:
        """The middle tap."""
        return tuple(kernel // 2 for kernel in self.kernel)

    def then(self, other: Geometry) -> Geometry:
        """The one layer that does what this and another do one after the other, the padding of both in front.

        Dilations stay as far as both have them. Blocks of channels stay as far as both have them: depthwise and
        depthwise is depthwise, anything else becomes dense.
        """
        axes = range(len(self.kernel))
        dilation = tuple(_common_dilation(self, other, axis) for axis in axes)
        spans = [self.extent[axis] + self.stride[axis] * (other.extent[axis] - 1) for axis in axes]
        return Geometry(
            self.in_channels,
            other.out_channels,
            tuple((span - 1) // d + 1 for span, d in zip(spans, dilation, strict=True)),
            tuple(self.stride[axis] * other.stride[axis] for axis in axes),
            tuple(self.padding[axis] + self.stride[axis] * other.padding[axis] for axis in axes),
            dilation,
            math.gcd(self.groups, other.groups),
        )

    def with_padding(self, padding: tuple[int, ...]) -> Geometry:
        """The same with other padding."""
        return replace(self, padding=padding)

    def build(self, *, bias: bool = True) -> Convolution | nn.Linear:
        """A layer of these sizes, with weights of no meaning."""
        if not self.kernel:
            return nn.Linear(self.in_channels, self.out_channels, bias=bias)
        convolution: Any = _CONVOLUTIONS[len(self.kernel) - 1]  # each is typed for tuples of its own length
        channels, sizes = (self.in_channels, self.out_channels), (self.kernel, self.stride, self.padding, self.dilation)
        layer: Convolution = convolution(*channels, *sizes, self.groups, bias)
        return layer


def _common_dilation(first: Geometry, second: Geometry, axis: int) -> int:
    """The greatest step that meets the taps of both; a single tap fits any."""
    return math.gcd(*(each.dilation[axis] for each in (first, second) if each.kernel[axis] > 1)) or 1
