"""Linear layers of circulant blocks: every row of a block is the one above it, shifted; one row is what is stored.

Sources: Cheng et al. 2015, "An Exploration of Parameter Redundancy in Deep Networks with Circulant Projections"; Ding
et al. 2017, "CirCNN" (blocks). Runtimes execute the dense weight: what it saves is storage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from .coded_weight import check_scale, per_channel

DAMPING = 1e-6
"""Share of the mean diagonal that is added to the metric: few inputs make it singular."""


@dataclass(frozen=True, slots=True, eq=False)
class CirculantWeight:
    """The first row of each block, from which the weight is restored.

    Attributes:
        rows: float32, shape (out / b, in / b, b): the first row of each b x b block, in which row r is the first one
            shifted by r to the right.
        scale: float32, shape (out,), which multiplies each output channel; None for 1.

    Raises:
        PackingError: A value breaks one of these rules.
    """

    rows: Tensor
    scale: Tensor | None = None

    def __post_init__(self) -> None:
        if self.rows.dtype != torch.float32 or self.rows.dim() != 3 or not self.rows.numel():
            raise PackingError(
                f"rows of circulant blocks must be float32 of shape (out / b, in / b, b), got {self.rows.dtype} of "
                f"shape {tuple(self.rows.shape)}: convert them"
            )
        check_scale(self.scale, self.rows.new_empty(self.shape[0]))

    @property
    def shape(self) -> torch.Size:
        """Of the weight: (out, in)."""
        n_down, n_across, block = self.rows.shape
        return torch.Size((n_down * block, n_across * block))

    def decode(self) -> Tensor:
        """The weight, float32, shape (out, in)."""
        block = self.rows.shape[2]
        # (out / b, in / b, b) -> (out / b, in / b, b, b) -> (out / b, b, in / b, b)
        weight = self.rows[:, :, shifts(block)].transpose(1, 2).reshape(self.shape)
        return weight if self.scale is None else weight * per_channel(self.scale, weight)

    def scaled(self, factor: Tensor) -> CirculantWeight:
        """The weight with each output channel multiplied, as by a folded BatchNorm: the rows stay.

        Args:
            factor: Shape (out,).
        """
        scale = factor.float() if self.scale is None else self.scale * factor.float()
        return replace(self, scale=scale)

    def refit(self, weight: Tensor) -> CirculantWeight:
        """The nearest weight of such blocks and the same scales, by least squares.

        Args:
            weight: Shape (out, in).
        """
        n_down, n_across, block = self.rows.shape
        scale = torch.ones(len(weight)) if self.scale is None else self.scale
        blocks = (weight.detach().float() * per_channel(scale, weight)).reshape(n_down, block, n_across, block)
        places = (torch.arange(block) + torch.arange(block)[:, None]) % block  # where each entry stands in row r
        undone = blocks.transpose(1, 2).gather(3, places.expand(n_down, n_across, block, block))
        norms = scale.reshape(n_down, block).square().sum(1)
        return replace(self, rows=undone.sum(2) / norms[:, None, None])


def shifts(block: int) -> Tensor:
    """Where in the first row of a block each of its entries stands, shape (b, b)."""
    places = torch.arange(block)
    return (places[None] - places[:, None]) % block


def circulant_blocks(shape: torch.Size) -> tuple[int, ...]:
    """The powers of two that divide both sides of a weight (out, in), from 2 up."""
    common = math.gcd(*shape)
    return tuple(1 << bits for bits in range(1, common.bit_length()) if common % (1 << bits) == 0)


def nearest_circulant(weight: Tensor, block: int, moment: Tensor | None = None) -> CirculantWeight:
    """The circulant blocks with the least squared error, of the weight or of the layer's outputs.

    Without a moment that is the mean over each shifted diagonal. With M = E[x xᵀ], `tr((W - C) M (W - C)ᵀ)` is least
    where `c Σ P_r M P_rᵀ = Σ w_r M P_rᵀ`, with w_r the rows of a row of blocks and P_r the shift by r inside blocks:
    one system for all of them.

    Args:
        weight: Float, shape (out, in).
        block: Side of the blocks, one of `circulant_blocks`.
        moment: M, shape (in, in).

    Raises:
        PackingError: The weight cannot be cut into such blocks.
    """
    if weight.dim() != 2 or block not in circulant_blocks(weight.shape):
        known = ", ".join(map(str, circulant_blocks(weight.shape))) if weight.dim() == 2 else ""
        raise PackingError(
            f"blocks of {tuple(weight.shape)} weights must have a side that is one of {known or 'none'}, got {block}: "
            "take another side"
        )
    n_inputs = weight.shape[1]
    rows = weight.detach().double().reshape(-1, block, n_inputs)  # (out / b, b, in)
    metric = torch.eye(n_inputs, dtype=torch.float64) if moment is None else moment.double()
    seen = rows @ metric
    matrix, wanted = torch.zeros_like(metric), torch.zeros_like(seen[:, 0])
    for shift in range(block):
        # Where each entry of the first row stands in row `shift`.
        places = ((torch.arange(block) + shift) % block + torch.arange(0, n_inputs, block)[:, None]).flatten()
        matrix += metric[places][:, places]
        wanted += seen[:, shift, places]
    matrix.diagonal().add_(DAMPING * matrix.diagonal().mean())
    found = torch.linalg.solve(matrix, wanted.T).T
    return CirculantWeight(found.reshape(len(rows), -1, block).float())
