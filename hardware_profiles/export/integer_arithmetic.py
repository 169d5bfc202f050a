"""Sums and products of quantised tensors, to the last bit as ONNX Runtime computes them.

Between integers a runtime has one multiplication by a ratio of scales, and rounds once. Done in float on the tensors'
values, the same operation rounds several times, and about one value in ten million falls to the other side of a half: a
deep network carries that on. The order of operations below is that of ONNX Runtime 1.31's kernels for x86 with fused
multiply-add (MLAS); all 65,536 pairs of integers agree, for random scales and zero points.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..precision import TensorQuantization


class _Steps(nn.Module):
    """What sums and products have in common: two quantised tensors in, steps of the output's scale out."""

    def __init__(self, one: TensorQuantization, other: TensorQuantization, result: TensorQuantization) -> None:
        """Takes the quantisations of the inputs in their order, and of the output."""
        super().__init__()
        # Not buffers: they belong to the plan, and are no weights of the network.
        self._one, self._other, self._result = (torch.tensor(each.scale[0]) for each in (one, other, result))
        self._zero_points = tuple(float(each.zero_point[0]) for each in (one, other, result))


class IntegerSum(_Steps):
    """The sum of two quantised tensors."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Gives whole steps of the output's scale, before they are clamped, of the inputs' common shape."""
        zero_one, zero_other, zero_result = self._zero_points
        ratio_one, ratio_other = self._one / self._result, self._other / self._result
        # The zero points are folded into one number, which all values share.
        fixed = zero_result - _fused(torch.tensor(zero_one), ratio_one, ratio_other * zero_other)
        sums = _fused(_integers(other, self._other, zero_other), ratio_other, fixed)
        return _fused(_integers(one, self._one, zero_one), ratio_one, sums).round_().sub_(zero_result)


class IntegerProduct(_Steps):
    """The product of two quantised tensors."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Gives whole steps of the output's scale, before they are clamped, of the inputs' common shape."""
        zero_result = self._zero_points[2]
        products = _integers(one, self._one) * _integers(other, self._other)
        return products.mul_(self._one * self._other / self._result).add_(zero_result).round_().sub_(zero_result)


def _integers(x: Tensor, scale: Tensor, zero_point: float = 0.0) -> Tensor:
    """The integers, in float, of a tensor that was rounded to them."""
    return torch.div(x, scale).round_().add_(zero_point)


def _fused(factor: Tensor, other: Tensor, addend: Tensor) -> Tensor:
    """`factor * other + addend` in float32, rounded once: in float64 both are exact for what stands here."""
    return torch.addcmul(addend.double(), factor.double(), other.double()).float()
