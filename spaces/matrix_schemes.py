"""Low rank by one truncated singular value decomposition: the layer as a matrix becomes the product of two."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ..hardware_profiles.errors import SpaceError
from .rank_scheme import CACHE, Offer, Ranks, Source, Stage, convolution_weight, lost_at, ranks_by_energy
from .truncation import output_energy, singular_energy, truncate, truncate_for_inputs

Factors: TypeAlias = tuple[Tensor, Tensor]


def unfolded(weight: Tensor, channel_axis: int) -> Tensor:
    """(out, in, ...) → (out, in * ...) on axis 0, (in, out * ...) on axis 1."""
    return weight.transpose(0, channel_axis).flatten(1)


def unfolding_energy(source: Source, channel_axis: int) -> Tensor:
    """Squared singular values of the weight unfolded on one of its channel axes; computed once per weight."""
    weight = source.weight.detach()
    return CACHE.get(source.weight, f"energy {channel_axis}", lambda: singular_energy(unfolded(weight, channel_axis)))


def _cached_factors(
    weight: Tensor, name: str, largest: int, rank: int, cut: Callable[[int], Factors], beside: Tensor | None = None
) -> Factors:
    """The factors of a rank, out of those of the largest rank that pays, which take no more memory than the layer."""
    if rank > largest:
        return cut(rank)
    dtype = weight.dtype

    def compute() -> Factors:
        left, right = cut(largest)
        return left.to(dtype), right.to(dtype)

    left, right = CACHE.get(weight, f"factors {name}", compute, beside)
    return left[:, :rank], right[:rank]


def _largest_rank(matrix: Tensor) -> int:
    """The largest rank whose two factors have no more weights than the matrix."""
    return matrix.numel() // sum(matrix.shape)


@dataclass(frozen=True, slots=True)
class ChannelSvd:
    """The whole kernel to `r` channels, then 1 x 1; for a linear layer and a 1 x 1 convolution the plain SVD.

    Attributes:
        is_pointwise: Offered for kernels of one pixel; else for all others.
    """

    is_pointwise: bool
    n_ranks: int = 1

    def fits(self, source: Source) -> bool:
        """Layers of its kernel; linear layers whose inputs are known are better truncated for those."""
        is_pointwise = all(size == 1 for size in source.kernel_size)
        return is_pointwise == self.is_pointwise and source.input_moment is None and source.groups == 1

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """Ranks by kept energy."""
        return offers_by_energy(unfolding_energy(source, 0), grid)

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """k x k C → r, 1 x 1 r → N: r (C k² + N) weights."""
        (rank,) = ranks
        return Stage(in_channels, rank, tuple(range(n_axes))), Stage(rank, out_channels)

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """(r, in * k * k) and (out, r)."""
        matrix = source.weight.detach().flatten(1)
        left, right = _cached_factors(
            source.weight, "channel", _largest_rank(matrix), ranks[0], lambda rank: truncate(matrix, rank)
        )
        return right, left

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Of the weight: the squared singular values that are dropped."""
        return lost_at(unfolding_energy(source, 0), ranks[0])


@dataclass(frozen=True, slots=True)
class GroupedSvd:
    """The channel SVD inside each group of a grouped convolution; ranks are `r` per group and the number of groups."""

    n_ranks: int = 2

    def fits(self, source: Source) -> bool:
        """Grouped convolutions with several inputs per group."""
        return source.groups > 1 and source.weight.shape[1] > 1

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """Ranks by kept energy, the same for all groups, so that all groups together lie on the grid."""
        energy, groups = self._energy(source), source.groups
        ranks = dict.fromkeys(ranks_by_energy(energy, grid // math.gcd(grid, groups)))
        return [Offer((rank, groups), lost_at(energy, rank)) for rank in ranks]

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """k x k C → g r, 1 x 1 g r → N, both in g groups: r (C k² + N) weights."""
        rank, groups = ranks
        inner = rank * groups
        return Stage(in_channels, inner, tuple(range(n_axes)), groups), Stage(inner, out_channels, (), groups)

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """(g r, in / g * k * k) and (out, r)."""
        rank, groups = ranks
        if groups != source.groups:
            raise SpaceError(f"grouped:RxG needs the layer's {source.groups} groups, got {groups}: correct the choice")
        cuts = [truncate(matrix, rank) for matrix in self._matrices(source)]
        return torch.cat([right for _, right in cuts]), torch.cat([left for left, _ in cuts])

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Of the weight: the squared singular values that are dropped, over all groups."""
        return lost_at(self._energy(source), ranks[0])

    def _energy(self, source: Source) -> Tensor:
        matrices = self._matrices(source)
        return CACHE.get(
            source.weight, "energy grouped", lambda: torch.stack([singular_energy(each) for each in matrices]).sum(0)
        )

    def _matrices(self, source: Source) -> Tensor:
        weight = source.weight.detach()
        # (out, in / g, ...) -> (g, out / g, in / g * k * k)
        return weight.reshape(source.groups, len(weight) // source.groups, -1)


@dataclass(frozen=True, slots=True)
class SpatialSvd:
    """k x 1, then 1 x k (Jaderberg et al. 2014, scheme 2)."""

    n_ranks: int = 1

    def fits(self, source: Source) -> bool:
        """Two-dimensional kernels that are larger than one pixel both ways."""
        return len(source.kernel_size) == 2 and min(source.kernel_size) > 1 and source.groups == 1

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """Ranks by kept energy."""
        return offers_by_energy(spatial_energy(source), grid)

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """k x 1 C → r, 1 x k r → N: r k (C + N) weights."""
        (rank,) = ranks
        return Stage(in_channels, rank, (0,)), Stage(rank, out_channels, (1,))

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """(r, in, kh) and (out, r, kw)."""
        (rank,) = ranks
        out, inner, height, width = _two_dimensional_weight(source).shape
        matrix = _spatial_matrix(source)
        left, right = _cached_factors(
            source.weight, "spatial", _largest_rank(matrix), rank, lambda rank: truncate(matrix, rank)
        )
        return left.reshape(inner, height, rank).permute(2, 0, 1), right.reshape(rank, out, width).permute(1, 0, 2)

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Of the weight: the squared singular values that are dropped."""
        return lost_at(spatial_energy(source), ranks[0])


@dataclass(frozen=True, slots=True)
class ActivationAwareSvd:
    """Two linear layers that lose the least of the outputs, for inputs of a measured second moment."""

    n_ranks: int = 1

    def fits(self, source: Source) -> bool:
        """Linear layers whose inputs were measured."""
        return not source.kernel_size and source.input_moment is not None

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """Ranks by kept energy of the outputs."""
        return offers_by_energy(self._energy(source), grid)

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """C → r → N: r (C + N) weights."""
        (rank,) = ranks
        return Stage(in_channels, rank), Stage(rank, out_channels)

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """(r, in) and (out, r)."""
        matrix, moment = source.weight.detach(), _moment(source)
        left, right = _cached_factors(
            source.weight,
            "asvd",
            _largest_rank(matrix),
            ranks[0],
            lambda rank: truncate_for_inputs(matrix, moment, rank),
            moment,
        )
        return right, left

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Of the outputs: their mean squared error over their mean square."""
        return lost_at(self._energy(source), ranks[0])

    def _energy(self, source: Source) -> Tensor:
        matrix, moment = source.weight.detach(), _moment(source)
        return CACHE.get(source.weight, "energy of outputs", lambda: output_energy(matrix, moment), moment)


def offers_by_energy(energy: Tensor, grid: int) -> list[Offer]:
    """One offer per rank on the grid, for squared singular values, largest first."""
    return [Offer((rank,), lost_at(energy, rank)) for rank in dict.fromkeys(ranks_by_energy(energy, grid))]


def spatial_energy(source: Source) -> Tensor:
    """Squared singular values of the weight between its rows and its columns; computed once per weight."""
    return CACHE.get(source.weight, "energy spatial", lambda: singular_energy(_spatial_matrix(source)))


def _spatial_matrix(source: Source) -> Tensor:
    out, inner, height, width = _two_dimensional_weight(source).shape  # (out, in, kh, kw) -> (in * kh, out * kw)
    return source.weight.detach().permute(1, 2, 0, 3).reshape(inner * height, out * width)


def _two_dimensional_weight(source: Source) -> Tensor:
    weight = convolution_weight(source)
    if weight.dim() != 4:
        raise SpaceError(f"spatial needs a kernel of two dimensions, got {tuple(source.kernel_size)}: take channel")
    return weight


def _moment(source: Source) -> Tensor:
    if source.input_moment is None or source.kernel_size:
        raise SpaceError(
            "asvd needs a linear layer and the second moment of its inputs, got none: measure its inputs first"
        )
    return source.input_moment
