"""The partition of sorted numbers into intervals of least squared error, by dynamic programming.

The error of an interval satisfies the quadrangle inequality, so that where the best last interval starts grows with
where it ends and with how many intervals there are: of the n²/2 intervals of a layer only some n log n are looked at.
Sources: Wu 1991, "Optimal Quantization by Matrix Searching"; Grønlund et al. 2017, "Fast Exact k-Means, k-Medians and
Bregman Divergence Clustering in 1D".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .sorted_values import Doubles, Positions, sums_from_the_middle


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Running sums over the numbers, shape (n + 1,) each, 0 in the middle."""

    mass: Doubles
    sums: Doubles
    squares: Doubles

    @classmethod
    def of(cls, values: Doubles, masses: Doubles) -> Self:
        # The origin is free; far from the numbers, their squares would hide how they differ.
        values = values - values[len(values) // 2]
        return cls(*(sums_from_the_middle(terms) for terms in (masses, masses * values, masses * values * values)))


def optimal_intervals(values: Doubles, masses: Doubles, k: int) -> Positions:
    """Where the intervals start and end that hold the squared distance to their means least.

    Time grows with n k log n at most, memory is 8 n k bytes.

    Args:
        values: Shape (n,), ascending.
        masses: Weight of each, above 0, shape (n,).
        k: Number of intervals, 1 to n.

    Returns:
        Positions from 0 to n, shape (k + 1,) where at least k values differ.
    """
    n = len(values)
    moments = _Moments.of(values, masses)
    # Least error of the first i values in at most so many intervals, less their squares, which no partition changes.
    least = np.full(n + 1, np.inf)
    least[0] = -moments.squares[0]
    starts = np.zeros(_padded(n), np.intp)
    layers = [least]
    for n_intervals in range(1, k):
        least, starts = _layer(moments, least, starts, n // n_intervals)
        layers.append(least)
    ends = [n]
    while ends[-1] > 0:
        ends.append(_last_start(moments, layers[k - len(ends)], ends[-1]))
    return np.array(ends[::-1], np.intp)


def _layer(moments: _Moments, before: Doubles, lowest: Positions, typical: int) -> tuple[Doubles, Positions]:
    """One interval more: the least error of the first i values for every i, and where the last interval starts.

    Some ends first, a typical interval apart, then those halfway between: their starts lie between their neighbours'.

    Args:
        before: The least errors with one interval less.
        lowest: Where the last interval started then: it starts no earlier with one more.
    """
    n = len(before) - 1
    least = np.empty(n + 1)
    least[0] = before[0]
    starts = np.full(_padded(n), n, np.intp)
    starts[0] = 0
    stride = 1 << (typical.bit_length() - 1)
    ends = np.arange(stride, n + 1, stride)
    low, high = lowest[ends], ends - 1
    while True:
        least[ends], starts[ends] = _best_starts(moments, before, ends, low, high)
        if stride == 1:
            return least, starts
        stride //= 2
        ends = np.arange(stride, n + 1, 2 * stride)
        high = np.minimum(starts[ends + stride], ends - 1)
        low = np.minimum(np.maximum(lowest[ends], starts[ends - stride]), high)


def _best_starts(
    moments: _Moments, before: Doubles, ends: Positions, low: Positions, high: Positions
) -> tuple[Doubles, Positions]:
    """The least error for each end over the starts from `low` to `high`, and the first start that has it."""
    lengths = high - low + 1
    offsets = np.cumsum(lengths) - lengths
    # All starts of all ends in one row, so that every step is one pass of numpy: the ends, then the starts.
    row = np.repeat(np.arange(len(ends)), lengths)
    start = np.arange(len(row))
    start += (low - offsets).take(row)
    error = moments.sums[ends].take(row)
    error -= moments.sums.take(start)
    error *= error
    mass = moments.mass[ends].take(row)
    mass -= moments.mass.take(start)
    error /= mass
    np.subtract(before.take(start), error, out=error)
    least = np.minimum.reduceat(error, offsets)
    found = np.flatnonzero(error == least.take(row))[::-1]
    best = np.empty(len(ends), np.intp)
    best[row[found]] = start[found]
    return least, best


def _last_start(moments: _Moments, before: Doubles, end: int) -> int:
    sums, mass = moments.sums[end] - moments.sums[:end], moments.mass[end] - moments.mass[:end]
    return int((before[:end] - sums * sums / mass).argmin())


def _padded(n: int) -> int:
    """Room for the ends of strides that overshoot n."""
    return 2 * n + 2
