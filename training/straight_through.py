"""Rounding that can be trained through: the straight-through estimator.

The forward pass rounds; the backward pass takes the rounding as the identity (Bengio et al. 2013), so the gradient
reaches the float values behind. What is clipped gets no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..spaces.quantized_weight import per_channel


def round_through(x: Tensor, step: Tensor, lowest: float, highest: float, step_factor: float = 1.0) -> Tensor:
    """The nearest whole multiples of a step, between the lowest and the highest, with gradients to both.

    With r = x / step, the gradient to x is 1 where r lies within the bounds, else 0. That to the step is round(r) - r
    within them, else the bound that r is beyond (Esser et al. 2020, "Learned Step Size Quantization", equation 3).

    Args:
        x: Any shape.
        step: Above 0; a shape that broadcasts to that of x.
        lowest: Least multiple.
        highest: Greatest multiple.
        step_factor: Multiplies the gradient to the step; see `step_gradient_factor`.

    Returns:
        The shape of x.
    """
    rounded: Tensor = _Round.apply(x, step, lowest, highest, step_factor)
    return rounded


def sign_through(x: Tensor) -> Tensor:
    """1 where x is at least 0, else -1; the gradient passes where |x| is at most 1 (Rastegari et al. 2016)."""
    sign: Tensor = _Sign.apply(x)
    return sign


def binarise(weight: Tensor) -> Tensor:
    """The sign of a weight (out, ...) times the mean magnitude of its output channel (Rastegari et al. 2016).

    The gradient passes unchanged where |w| is at most 1, as in BinaryConnect (Courbariaux et al. 2015). That of the
    formula itself, `g_i · mean · [|w_i| ≤ 1] + sign(w_i) / n · Σ_j g_j sign(w_j)`, is smaller by the weights'
    magnitude, so that few signs ever change: on a small residual network and the digits, 38 % after 62 steps instead of
    57 % (3 seeds).
    """
    binary: Tensor = _Binarise.apply(weight)
    return binary


def step_gradient_factor(n_values: int, n_levels: float) -> float:
    """`1 / sqrt(values that share a step · levels on its larger side)` (Esser et al. 2020, section 2.2).

    With it a step learns, relative to its size, about as fast as the weights do.
    """
    return float((n_values * max(n_levels, 1.0)) ** -0.5)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(  # Any: torch's context
        ctx: Any, x: Tensor, step: Tensor, lowest: float, highest: float, step_factor: float
    ) -> Tensor:
        ratio = x / step
        ctx.save_for_backward(ratio, step)
        ctx.lowest, ctx.highest, ctx.step_factor = lowest, highest, step_factor
        return ratio.round().clamp_(lowest, highest).mul_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        ratio, step = ctx.saved_tensors
        is_inside = (ratio >= ctx.lowest) & (ratio <= ctx.highest)
        to_step = None
        if ctx.needs_input_grad[1]:
            codes = ratio.round().clamp(ctx.lowest, ctx.highest)
            slope = torch.where(is_inside, codes - ratio, codes)
            to_step = (gradient * slope).sum_to_size(step.shape) * ctx.step_factor
        return gradient * is_inside, to_step, None, None, None


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # Any: torch's context
        ctx.save_for_backward(x.abs() <= 1)
        return torch.where(x < 0, -1.0, 1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        is_inside: Tensor = ctx.saved_tensors[0]
        return gradient * is_inside


class _Binarise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:  # Any: torch's context
        ctx.save_for_backward(weight.abs() <= 1)
        return torch.where(weight < 0, -1.0, 1.0) * per_channel(weight.abs().flatten(1).mean(1), weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        is_inside: Tensor = ctx.saved_tensors[0]
        return gradient * is_inside
