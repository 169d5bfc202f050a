"""Tucker-2: a convolution becomes 1 x 1, the kernel between fewer channels, 1 x 1 (Kim et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .matrix_schemes import unfolded, unfolding_energy
from .rank_scheme import CACHE, Offer, Ranks, Source, Stage, convolution_weight, lost_at, rank_on_grid, ranks_by_energy
from .truncation import leading_directions
from .vbmf import vbmf_rank

VBMF_NOTE = "ranks by VBMF"


@dataclass(frozen=True, slots=True)
class Tucker:
    """Two ranks, of the input and of the output channels, by the higher-order SVD (De Lathauwer et al. 2000)."""

    n_ranks: int = 2

    def fits(self, source: Source) -> bool:
        """Convolutions with a kernel of more than one pixel."""
        return source.groups == 1 and any(size > 1 for size in source.kernel_size)

    def offers(self, source: Source, grid: int) -> list[Offer]:
        """Both ranks at the same kept energy, and those that VBMF takes for signal, marked."""
        inner, outer = unfolding_energy(source, 1), unfolding_energy(source, 0)
        by_energy: list[Ranks] = list(zip(ranks_by_energy(inner, grid), ranks_by_energy(outer, grid), strict=True))
        guess = _vbmf_ranks(source, inner, outer, grid)
        notes: dict[Ranks, str] = {guess: VBMF_NOTE} if guess else {}
        return [
            Offer(ranks, _lost_by_both(inner, outer, ranks), notes.get(ranks, ""))
            for ranks in dict.fromkeys([*by_energy, *notes])
            if ranks[0] <= len(inner) and ranks[1] <= len(outer)  # the grid is wider than a stem's three inputs
        ]

    def stages(self, ranks: Ranks, in_channels: int, out_channels: int, n_axes: int) -> tuple[Stage, ...]:
        """1 x 1 C → r1, k x k r1 → r2, 1 x 1 r2 → N: C r1 + r1 r2 k² + r2 N weights."""
        inner, outer = ranks
        return (
            Stage(in_channels, inner),
            Stage(inner, outer, tuple(range(n_axes))),
            Stage(outer, out_channels),
        )

    def factors(self, source: Source, ranks: Ranks) -> tuple[Tensor, ...]:
        """(r1, in), (r2, r1, ...) and (out, r2)."""
        first, last = _basis(source, 1)[:, : ranks[0]], _basis(source, 0)[:, : ranks[1]]
        return first.T, _core(source, first, last), last

    def lost_energy(self, source: Source, ranks: Ranks) -> float:
        """Of the weight: what is not in the core, since both bases are orthonormal."""
        core = self.factors(source, ranks)[1]
        total = source.weight.detach().double().square().sum()
        return max(0.0, 1.0 - float(core.double().square().sum() / total)) if total else 0.0


def _lost_by_both(inner: Tensor, outer: Tensor, ranks: Ranks) -> float:
    """What the two projections lose together, as if neither knew of the other.

    The exact share lies between the larger of the two and their sum, and costs both bases and the core.
    """
    return 1 - (1 - lost_at(inner, ranks[0])) * (1 - lost_at(outer, ranks[1]))


def _vbmf_ranks(source: Source, inner: Tensor, outer: Tensor, grid: int) -> Ranks | None:
    """The ranks that VBMF finds in the two unfoldings, on the grid; None where one of them is all noise."""
    n_weights = source.weight.numel()
    # The singular values are as many as the shorter side of the unfolding is long.
    found = [vbmf_rank(energy, n_weights // len(energy)) for energy in (inner, outer)]
    return (rank_on_grid(found[0], grid), rank_on_grid(found[1], grid)) if all(found) else None


def _basis(source: Source, channel_axis: int) -> Tensor:
    """The main directions of the input (axis 1) or output (axis 0) channels as columns; computed once per weight."""
    weight = source.weight.detach()

    def compute() -> Tensor:
        return leading_directions(unfolded(weight, channel_axis)).to(weight.dtype)

    return CACHE.get(source.weight, f"basis {channel_axis}", compute)


def _core(source: Source, first: Tensor, last: Tensor) -> Tensor:
    """The weight seen from both bases, shape (r2, r1, ...)."""
    weight = convolution_weight(source)
    inside = (last.T @ weight.flatten(1)).reshape(-1, *weight.shape[1:])  # (r2, in, ...)
    return (first.T @ inside.flatten(2)).reshape(len(inside), -1, *weight.shape[2:])  # (r2, r1, ...)
