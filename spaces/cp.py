"""CP: a convolution becomes 1 x 1, k x 1 and 1 x k of each channel on its own, and 1 x 1 (Lebedev et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..hardware_profiles.errors import SpaceError
from .matrix_schemes import spatial_energy
from .rank_scheme import CACHE, Offer, Ranks, Source, Stage, ranks_by_energy

MAX_SWEEPS = 100
"""Of alternating least squares over the four modes."""
TOLERANCE = 1e-7
"""Change of the relative error at which the sweeps end."""


@dataclass(frozen=True, slots=True)
class Cp:
    """A sum of `r` outer products of four vectors, by alternating least squares from a fixed random start."""

    n_ranks: int = 1

    def fits(self, source: Source) -> bool:
        """Two-dimensional kernels that are larger than one pixel both ways."""
        return len(source.kernel_size) == 2 and min(source.kernel_size) > 1 and source.groups == 1

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """The ranks at which the spatial SVD keeps certain shares of the energy.

        A CP of rank r is a spatial factorisation of rank r, so it keeps less; how much less takes the sweeps to know.
        """
        return [Offer((rank,), None) for rank in dict.fromkeys(ranks_by_energy(spatial_energy(source), grid))]

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """1 x 1 C → r, k x 1 and 1 x k of r groups, 1 x 1 r → N: r (C + 2 k + N) weights."""
        (rank,) = ranks
        between = tuple(Stage(rank, rank, (axis,), groups=rank) for axis in range(n_axes))
        return Stage(in_channels, rank), *between, Stage(rank, out_channels)

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """(r, in), (r, kh), (r, kw) and (out, r)."""
        last, first, rows, columns = _decompose(source, ranks[0])
        return first.T, rows.T, columns.T, last

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Of the weight: the squared error of the sum of outer products."""
        weight = source.weight.detach().double()
        restored = torch.einsum("or,ir,hr,wr->oihw", *(factor.double() for factor in _decompose(source, ranks[0])))
        total = weight.square().sum()
        return float((restored - weight).square().sum() / total) if total else 0.0


def _decompose(source: Source, rank: int) -> tuple[Tensor, ...]:
    """One matrix per mode, shape (mode, r), whose columns share the size of their outer product evenly."""
    weight = source.weight.detach()
    if weight.dim() != 4:
        raise SpaceError(f"cp needs a kernel of two dimensions, got {source.kernel_size}: take channel or svd")
    return CACHE.get(source.weight, f"cp {rank}", lambda: _alternate(weight, rank))


def _alternate(weight: Tensor, rank: int) -> tuple[Tensor, ...]:
    # tensorly takes a third of a second to import, and most searches have no CP.
    import tensorly
    from tensorly.decomposition import parafac

    with tensorly.backend_context("numpy", local_threadsafe=True):
        found = parafac(
            weight.double().cpu().numpy(),
            rank,
            n_iter_max=MAX_SWEEPS,
            tol=TOLERANCE,
            init="random",
            random_state=0,
        )
    factors = [torch.from_numpy(factor) * 1.0 for factor in found.factors]
    sizes = torch.stack([torch.linalg.vector_norm(factor, dim=0) for factor in factors])  # (4, r)
    size = sizes.prod(0) * torch.from_numpy(found.weights).abs()
    even = size ** (1 / len(factors))
    factors[0] = factors[0] * torch.from_numpy(found.weights).sign()
    balanced = (factor / norm.clamp_min(1e-300) * even for factor, norm in zip(factors, sizes, strict=True))
    return tuple(factor.to(weight.device, weight.dtype) for factor in balanced)
