"""Rounding for few bits after training: up or down is decided by what it does to the layer's outputs.

A layer's output error is a quadratic form of the weights' error in the layer's Hessian `H = 2 X Xᵀ`, so that all
calibration inputs enter each step at the cost of one product of matrices. Sources: Nagel et al. 2020, "Up or Down?
Adaptive Rounding for Post-Training Quantization"; Frantar et al. 2023 (GPTQ), the closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TrainingError, unknown_name
from ..spaces.quantized_weight import QuantizedWeight, levels
from ..spaces.ranges import CLIPPED_SHARES, SHARES_IN_FEW_BITS, least_error_scales
from .layer_rows import matrix_layers, weight_rows
from .second_order import damped, output_error, sweep

ZETA, GAMMA = 1.1, -0.1
"""Ends that the sigmoid is stretched to before it is clipped to 0..1 (Nagel et al. 2020, equation 23)."""
BETAS = (20.0, 2.0)
"""The regulariser's exponent at the start and at the end: soft at first, so that weights may change sides."""
FREE_SHARE = 0.2
"""Share of the steps without regulariser."""
REGULARISATION = 3.0
"""Weight of the regulariser, averaged over a row, against the row's error relative to that of nearest rounding."""
N_STEPS = 1_000
STEP_SIZE = 0.05
DEFAULT_METHOD = "adaround"

Method: TypeAlias = Callable[["Grid", Tensor, Tensor], Tensor]
"""(grid, weight (out, in), damped Hessian (in, in)) → integers (out, in) as floats."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The values a row may take: its scale (out, 1) times the integers from `low` to `high`."""

    scale: Tensor
    low: int
    high: int

    def clipped(self, integers: Tensor) -> Tensor:
        """Into the range."""
        return integers.clamp(self.low, self.high)

    def nearest(self, weight: Tensor) -> Tensor:
        """The integers that plain rounding gives."""
        return self.clipped((weight / self.scale).round())


def rounding_methods() -> tuple[str, ...]:
    """The ways to round, sorted."""
    return tuple(sorted(_METHODS))


def round_layers(
    module: nn.Module, hessians: Mapping[str, Tensor], bits: int | Mapping[str, int], method: str = DEFAULT_METHOD
) -> dict[str, QuantizedWeight]:
    """Rounds the weights of layers, each for the least error of its outputs; the network is not touched.

    Args:
        module: A network whose BatchNorm is folded, or nobody would deploy these weights.
        hessians: By layer, from `second_order.layer_hessians` of this network.
        bits: 8, 4 or 2, one for all these layers or by layer.
        method: `adaround` decides up or down by gradient; `greedy` settles column after column, the later ones making
            up for the earlier, in a fraction of the time; `nearest` is plain rounding.

    Raises:
        TrainingError: The method or a layer is unknown, bits are 1, or a layer has no Hessian.
        SpaceError: Bits are none that weights are stored in.
    """
    widths = dict(bits) if isinstance(bits, Mapping) else dict.fromkeys(hessians, bits)
    missing = [name for name in widths if name not in hessians]
    if missing:
        raise TrainingError(f"rounding needs the Hessian of each layer, got none for {missing[0]!r}: leave it out")
    rounded = {}
    for name, layer in matrix_layers(module, widths).items():
        groups = [
            round_matrix(weight, hessian, widths[name], method)
            for weight, hessian in zip(weight_rows(layer), hessians[name], strict=True)
        ]
        codes = torch.cat([group.codes for group in groups]).reshape(layer.weight.shape)
        rounded[name] = QuantizedWeight(codes, torch.cat([group.scale for group in groups]), widths[name])
    return rounded


def round_matrix(weight: Tensor, hessian: Tensor, bits: int, method: str = DEFAULT_METHOD) -> QuantizedWeight:
    """Rounds a matrix; no row has a larger output error than plain rounding at the same scale gives it.

    Args:
        weight: Shape (out, in).
        hessian: `2 X Xᵀ`, shape (in, in).
        bits: 8, 4 or 2.
        method: See `round_layers`.

    Raises:
        TrainingError: The method is unknown, or bits are 1.
        SpaceError: Bits are none that weights are stored in.
    """
    if method not in _METHODS:
        raise TrainingError(unknown_name("rounding method", method, _METHODS))
    if bits == 1:
        raise TrainingError("rounding needs at least 2 bits, got 1: train the network in 1 bit instead")
    low, high = levels(bits)
    scale = least_error_scales(weight.float(), high, low, CLIPPED_SHARES if bits == 8 else SHARES_IN_FEW_BITS)
    weight, grid = weight.double(), Grid(scale.double()[:, None], low, high)
    nearest = grid.nearest(weight)
    found = _polished(_METHODS[method](grid, weight, damped(hessian)), grid, weight, hessian.double())
    errors = [output_error(integers * grid.scale - weight, hessian) for integers in (nearest, found)]
    best = torch.where((errors[1] < errors[0])[:, None], found, nearest) if method != "nearest" else nearest
    return QuantizedWeight(best.to(torch.int8).cpu(), scale.cpu(), bits)


def set_weights(module: nn.Module, rounded: Mapping[str, QuantizedWeight]) -> None:
    """Gives a network, in place, the values that its rounded weights stand for."""
    with torch.no_grad():
        for name, layer in matrix_layers(module, rounded).items():
            layer.weight.copy_(rounded[name].decode())


def rectified_sigmoid(logits: Tensor) -> Tensor:
    """A sigmoid stretched beyond 0..1 and clipped, so that it reaches both ends; any shape."""
    return (torch.sigmoid(logits) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def regulariser(up: Tensor, beta: float) -> Tensor:
    """`1 - |2h - 1|^β`: 0 where h is 0 or 1, 1 in the middle; any shape."""
    return 1 - (2 * up - 1).abs().pow(beta)


def annealed_beta(progress: float) -> float | None:
    """The regulariser's exponent at a share of the steps, falling along a cosine; None where there is none yet."""
    if progress < FREE_SHARE:
        return None
    share = torch.tensor((progress - FREE_SHARE) / (1 - FREE_SHARE) * torch.pi)
    return BETAS[1] + (BETAS[0] - BETAS[1]) * float(0.5 * (1 + torch.cos(share)))


def _adaround(grid: Grid, weight: Tensor, hessian: Tensor) -> Tensor:
    """Up or down per weight by gradient descent on the output error."""
    down = (weight / grid.scale).floor()
    nearest = output_error(grid.nearest(weight) * grid.scale - weight, hessian)
    # In single precision, each row's error in units of that of nearest rounding.
    units = (grid.scale / nearest.clamp_min(torch.finfo(torch.float64).tiny).sqrt()[:, None]).float()
    curvature, target = (hessian / 2).float(), (weight / grid.scale).float()
    rest = (target - down.float()).clamp(0.01, 0.99)
    logits = (-torch.log((ZETA - GAMMA) / (rest - GAMMA) - 1)).requires_grad_()  # h(logits) is the rest
    optimiser = torch.optim.Adam([logits], STEP_SIZE)
    with torch.enable_grad():
        for step in range(N_STEPS):
            up = rectified_sigmoid(logits)
            off = (grid.clipped(down.float() + up) - target) * units
            loss = ((off @ curvature) * off).sum()
            beta = annealed_beta(step / N_STEPS)
            if beta is not None:
                loss = loss + REGULARISATION * regulariser(up, beta).mean(1).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return grid.clipped(down + (rectified_sigmoid(logits.detach()) >= 0.5))


def _greedy(grid: Grid, weight: Tensor, hessian: Tensor) -> Tensor:
    """Column after column to the nearest integer, the error carried on (GPTQ)."""
    settled = sweep(weight, hessian, lambda column, current, _: _rounded_column(grid, current[:, column]))
    return (settled / grid.scale).round()


def _rounded_column(grid: Grid, column: Tensor) -> Tensor:
    scale = grid.scale[:, 0]
    return grid.clipped((column / scale).round()) * scale


def _polished(integers: Tensor, grid: Grid, weight: Tensor, hessian: Tensor) -> Tensor:
    """Moves single weights of each row by one step of the grid, the one that helps most first, while one helps."""
    integers, curvature = integers.clone(), hessian / 2
    rows = torch.arange(len(weight), device=weight.device)
    pull = (integers * grid.scale - weight) @ curvature  # half the gradient
    own = curvature.diagonal() * grid.scale.square()
    for _ in range(weight.shape[1]):
        # One step up changes the error by 2 s pull + s² C_ii, one down by -2 s pull + s² C_ii.
        direction = torch.where(pull > 0, -1.0, 1.0).double()
        moved = integers + direction
        gain = 2 * grid.scale * pull.abs() - own
        gain = gain.masked_fill((moved < grid.low) | (moved > grid.high), -torch.inf)
        best, column = gain.max(1)
        helps = best > 0
        if not helps.any():
            break
        step = direction[rows, column] * helps
        integers[rows, column] += step
        pull += (step * grid.scale[:, 0])[:, None] * curvature[column]
    return integers


_METHODS: Mapping[str, Method] = {
    "adaround": _adaround,
    "greedy": _greedy,
    "nearest": lambda grid, weight, hessian: grid.nearest(weight),
}
