"""What stands in a network while it is trained in few bits: the rounding of one weight, and that of one value."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..hardware_profiles.precision import TensorQuantization
from ..spaces.quantized_weight import QuantizedWeight, levels, per_channel
from ..spaces.ranges import CLIPPED_SHARES, LEAST_SCALE, SHARES_IN_FEW_BITS, least_error_scales
from .straight_through import binarise, round_through, sign_through, step_gradient_factor

FOLLOWED = 0.1
"""How far a calibrated range moves to that of the batch at hand, at each step."""
LEAST_SHARE = 0.01
"""A learned step stays above this share of what it began with: one that crosses 0 would turn its values round."""
_MAX_SAMPLES = 8_192


class WeightRounding(nn.Module):
    """Rounds a weight (out, ...), symmetrically, one step per output channel.

    In 8 bits the steps are those of least error, as in the plan of a finished network; below, they are learned, or
    keep their share of the largest weight. In 1 bit a weight is its sign times the mean magnitude of its channel.

    Symmetric steps per output channel make rounding and folding a BatchNorm commute: a folded channel is a multiple of
    the channel, and so is its step. So weights are rounded as they will be after folding (Jacob et al. 2018, section
    3.2) without folding them at each step. The lowest level of 4 and 2 bits, which has no opposite, is the exception
    where the multiple is negative; `QuantizedWeight` keeps such a channel by a negative scale.
    """

    share: Tensor
    least: Tensor

    def __init__(self, weight: Tensor, bits: int, *, learns_range: bool) -> None:
        """Takes the steps of least error.

        Args:
            weight: Shape (out, ...).
            bits: One of `WEIGHT_BITS`.
            learns_range: Whether steps below 8 bits are parameters.
        """
        super().__init__()
        self.bits = bits
        self._lowest, self._highest = levels(bits)
        rows = weight.detach().flatten(1)
        self._factor = step_gradient_factor(rows.shape[1], self._highest)
        self.step: nn.Parameter | None = None
        if bits == 1:
            return
        step = least_error_scales(
            rows, self._highest, self._lowest, CLIPPED_SHARES if bits == 8 else SHARES_IN_FEW_BITS
        )
        if learns_range and bits < 8:
            self.step = nn.Parameter(step)
            self.register_buffer("least", step * LEAST_SHARE)
        else:
            self.register_buffer("share", step / self._widest(rows))

    def forward(self, weight: Tensor) -> Tensor:
        """Gives the rounded weight, of the same shape."""
        if self.bits == 1:
            return binarise(weight)
        return round_through(weight, per_channel(self._step(weight), weight), self._lowest, self._highest, self._factor)

    def keep_in_bounds(self) -> None:
        """Keeps learned steps positive."""
        if self.step is not None:
            self.step.data.clamp_(min=self.least)

    def quantized(self, weight: Tensor) -> QuantizedWeight:
        """What is to be stored of the weight, on the processor; it decodes to what `forward` gives."""
        weight = weight.detach()
        step = weight.abs().flatten(1).mean(1) if self.bits == 1 else self._step(weight).detach()
        return QuantizedWeight.rounded(weight.cpu(), step.cpu(), self.bits)

    def _step(self, weight: Tensor) -> Tensor:
        return self.share * self._widest(weight.detach().flatten(1)) if self.step is None else self.step

    def _widest(self, rows: Tensor) -> Tensor:
        """The step at which no weight is clipped from above, shape (out,)."""
        return rows.abs().amax(1).clamp_min(LEAST_SCALE * self._highest) / self._highest


class ValueRounding(nn.Module):
    """Rounds the values of one tensor: affine, unsigned, one step; the first batch in training sets the range.

    The range begins at the first batch's ends. Learned, and in fewer than 8 bits, it is clipped to the share of them
    that has the least squared error. From then on a learned step is a parameter, and the zero point stays; a calibrated
    range keeps its share of the ends, which follow those of each batch. In 1 bit values that may be negative become ±
    the step.
    """

    zero: Tensor
    least: Tensor
    share: Tensor
    ends: Tensor
    is_started: Tensor
    is_sign: Tensor

    def __init__(self, bits: int, *, learns_range: bool, highest_value: float = float("inf")) -> None:
        """Prepares the rounding; before the first batch in training it changes nothing.

        Args:
            bits: 1 to 8.
            learns_range: Whether the step is a parameter.
            highest_value: What the range must not go beyond, such as 6 behind a ReLU6.
        """
        super().__init__()
        self.bits = bits
        self._n_steps = (1 << bits) - 1
        self._learns, self._highest_value = learns_range, highest_value
        self.step = nn.Parameter(torch.ones(()), requires_grad=learns_range)
        for name in ("zero", "least"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("share", torch.ones(()))
        self.register_buffer("ends", torch.zeros(2))
        for name in ("is_started", "is_sign"):
            self.register_buffer(name, torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        """Gives the rounded values, of the same shape and type."""
        values = x.float()
        if self.training:
            self._observe(values.detach())
        if not self.is_started:
            return x
        if self.is_sign:
            return (sign_through(values) * self.step).to(x.dtype)
        lowest, highest = -float(self.zero), self._n_steps - float(self.zero)
        factor = step_gradient_factor(x[0].numel(), max(-lowest, highest))
        return round_through(values, self.step, lowest, highest, factor).to(x.dtype)

    def keep_in_bounds(self) -> None:
        """Keeps a learned step positive, and its range within what the values may be."""
        if self._learns:
            limit = torch.full_like(self.least, self._highest_value / self._n_steps)
            self.step.data.clamp_(min=torch.minimum(self.least, limit), max=limit)

    def quantization(self) -> TensorQuantization | None:
        """The range for a plan; None before the first batch, and of 1 bit, which plans do not have."""
        if not self.is_started or self.bits == 1:
            return None
        return TensorQuantization(self.bits, (self.step.item(),), (int(self.zero),), axis=None, is_signed=False)

    @torch.no_grad()
    def _observe(self, values: Tensor) -> None:
        if self.is_started and self._learns:
            return
        # Zero must be representable exactly: padding and ReLUs produce it.
        ends = torch.stack(torch.aminmax(values))
        ends[0].clamp_(max=0.0)
        ends[1].clamp_(min=0.0, max=self._highest_value)
        self.ends.copy_(self.ends.lerp(ends, FOLLOWED) if self.is_started else ends)
        if not self.is_started:
            self.is_sign.fill_(self.bits == 1 and bool(ends[0] < 0))
        if self.is_sign:
            self.step.fill_(values.abs().mean().clamp_min(1e-6))
        else:
            self._set_range(values)
        self.least.copy_(self.step * LEAST_SHARE)
        self.is_started.fill_(True)

    def _set_range(self, values: Tensor) -> None:
        """The step and the zero point of the ends, and, from the first batch, the share of them that is kept."""
        step = (self.ends[1] - self.ends[0]).clamp_min(1e-6) / self._n_steps
        self.zero.copy_((-self.ends[0] / step).round().clamp(0, self._n_steps))
        if not self.is_started and (self._learns or self.bits < 8):
            drawn = torch.randint(values.numel(), (_MAX_SAMPLES,), generator=torch.Generator().manual_seed(0))
            sample = values.flatten()[drawn.to(values.device)]
            steps = step * SHARES_IN_FEW_BITS.to(values.device)[:, None]  # (shares, 1)
            lowest, highest = -float(self.zero), self._n_steps - float(self.zero)
            error = (sample / steps).round_().clamp_(lowest, highest).mul_(steps).sub_(sample).square_().sum(1)
            self.share.copy_(SHARES_IN_FEW_BITS[int(error.argmin())])
        self.step.copy_(step * self.share)
