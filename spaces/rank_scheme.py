"""What a low-rank scheme must tell: which layers it fits, its ranks, the shape of its factors and their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import SpaceError
from .factor_cache import FactorCache

KEPT_ENERGIES = (0.95, 0.85, 0.7, 0.5)
"""Shares of the squared singular values at which ranks are offered, rounded to the channel grid."""

CACHE = FactorCache()
"""Decompositions of the weights of living networks; a search prepares the same choices over and over."""

Ranks: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What a layer is factorised from.

    Attributes:
        module: The layer.
        input_moment: Second moment of its inputs, E[x xᵀ], shape (in, in), where it was measured.
    """

    module: nn.Module
    input_moment: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """The layer's weight, shape (out, in, ...), itself and not a copy."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def groups(self) -> int:
        """Of a convolution; 1 for a linear layer."""
        return int(getattr(self.module, "groups", 1))

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """One number per spatial dimension; none for a linear layer."""
        return tuple(self.weight.shape[2:])


@dataclass(frozen=True, slots=True)
class Stage:
    """One factor of a layer.

    Attributes:
        in_channels: Of the factor.
        out_channels: Of the factor.
        axes: The spatial axes on which it has the layer's kernel, stride, padding and dilation; 1 x 1 on the others.
        groups: Of the factor.
    """

    in_channels: int
    out_channels: int
    axes: tuple[int, ...] = ()
    groups: int = 1

    def n_weights(self, kernel_size: Sequence[int]) -> int:
        """Its weights, for the layer's kernel."""
        area = math.prod(kernel_size[axis] for axis in self.axes)
        return self.in_channels * self.out_channels // self.groups * area


@dataclass(frozen=True, slots=True)
class Offer:
    """Ranks worth a choice.

    Attributes:
        ranks: On the channel grid.
        lost_energy: Share of the energy that they lose, or a cheap estimate; None where only `factors` would tell.
        note: What marks this choice among the others.
    """

    ranks: Ranks
    lost_energy: float | None
    note: str = ""


class Scheme(Protocol):
    """A way to make several smaller layers of one; `stages` and `factors` are in the order in which they run."""

    @property
    def n_ranks(self) -> int:
        """How many numbers its ranks are."""
        ...

    def fits(self, source: Source) -> bool:
        """Whether the scheme is offered for a layer."""
        ...

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """The ranks that keep certain shares of the energy, whatever they cost."""
        ...

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """The factors of a layer with that many channels and spatial axes."""
        ...

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """The weights of the factors, each in the order of its layer's weight, of any shape.

        Raises:
            SpaceError: The layer is not of the kind that the scheme can take apart.
        """
        ...

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Share of the energy that the ranks lose: of the weight, or of the outputs where the inputs are known."""
        ...


def ranks_by_energy(energy: Tensor, grid: int) -> list[int]:
    """The ranks, nearest on the grid, that keep each of `KEPT_ENERGIES`, from large to small.

    Args:
        energy: Squared singular values, largest first, shape (n,).
        grid: Multiples that the hardware rewards.
    """
    energy = energy.double()
    kept = energy.cumsum(0) / energy.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return [rank_on_grid(int((kept < share).sum()) + 1, grid) for share in KEPT_ENERGIES]


def rank_on_grid(rank: int, grid: int) -> int:
    """The multiple of the grid nearest to a rank, at least one."""
    return max(grid, round(rank / grid) * grid)


def lost_at(energy: Tensor, rank: int) -> float:
    """Share of the energy lost at one rank."""
    energy = energy.double()
    return float(energy[rank:].sum() / energy.sum().clamp_min(torch.finfo(torch.float64).tiny))


def convolution_weight(source: Source) -> Tensor:
    """The weight of a convolution, detached, shape (out, in, *kernel).

    Raises:
        SpaceError: The layer is no convolution.
    """
    if not source.kernel_size:
        raise SpaceError(
            f"this rank scheme needs a convolution, got {type(source.module).__name__}: take svd for a linear layer"
        )
    return source.weight.detach()
