"""Numbers in ascending order with running sums, of which the means of any intervals are read at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Positions: TypeAlias = npt.NDArray[np.intp]
Numbers: TypeAlias = Tensor | npt.NDArray[Any]
"""What a caller may hand in: any shape, any type of float that float32 holds."""

_CHUNK = 1 << 16
"""Values treated at a time, so that what is computed of them stays in a core's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class SortedValues:
    """Values in ascending order, and sums over the first of them.

    Attributes:
        values: float32, shape (n,), ascending.
        n_distinct: How many of them differ.
        masses: Weight of each value, shape (n,); None where each counts once.
        mass: Weight of the first values, shape (n + 1,), up to a constant; None likewise.
        sums: Weighted sum of the first values, shape (n + 1,), up to a constant.
    """

    values: Floats
    n_distinct: int
    masses: Doubles | None
    mass: Doubles | None
    sums: Doubles

    @classmethod
    def of(cls, values: Numbers, weights: Numbers | None = None) -> Self:
        """Sorts values.

        Args:
            values: Any shape, taken as float32.
            weights: As many, each finite and at least 0; a value of weight 0 is left out. None for 1 each.

        Raises:
            PackingError: There is no value, one is not finite, or the weights do not fit.
        """
        row = as_row(values)
        if weights is None:
            row, masses = np.sort(row), None
        else:
            row, masses = _sorted_with(row, as_row(weights).astype(np.float64))
        # What is no number is sorted to the end.
        if not len(row) or not np.isfinite(row[[0, -1]]).all():
            raise PackingError(f"values must be finite and at least one, got {_worded(row)}: check the weight")
        n_distinct = 1 + int(np.count_nonzero(row[1:] != row[:-1]))
        if masses is None and 2 * n_distinct > len(row):
            return cls(row, n_distinct, None, None, sums_from_the_middle(row))
        return cls._merged(row, masses)

    @classmethod
    def _merged(cls, values: Floats, masses: Doubles | None) -> Self:
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        if masses is None:
            masses = np.diff(starts, append=len(values)).astype(np.float64)
        else:
            masses = np.add.reduceat(masses, starts)
        values = values[starts]
        return cls(values, len(values), masses, sums_from_the_middle(masses), sums_from_the_middle(values * masses))

    def distinct(self) -> SortedValues:
        """The same with every value once, its weights added up."""
        return self if len(self.values) == self.n_distinct else self._merged(self.values, self.masses)

    def bins(self, n_bins: int) -> Positions:
        """Where bins start and end, half of them of equal width and half of equal number, equal values in one bin.

        Width alone would put nearly all values into one bin where a single one lies far out.
        """
        ends = np.linspace(0, len(self.values) - 1, n_bins // 2 + 1)
        by_number = self.values[ends.astype(np.intp)]
        by_width = np.linspace(self.values[0], self.values[-1], n_bins // 2 + 1, dtype=np.float32)
        positions = np.searchsorted(self.values, np.concatenate([by_number, by_width[1:-1]]))
        return np.unique(np.append(positions, len(self.values)))

    def quantiles(self, shares: Doubles) -> Floats:
        """The values below which these shares of the weight lie, each within 0 and 1 but not 1."""
        if self.mass is None:
            positions = (shares * len(self.values)).astype(np.intp)
        else:
            mass = self.mass - self.mass[0]
            positions = np.searchsorted(mass, shares * mass[-1], side="right") - 1
        return self.values.take(positions)

    def mean_and_variance(self) -> tuple[float, float]:
        """Of all values."""
        everything = np.array([0, len(self.values)])
        mean = self.means_between(everything)
        return float(mean[0]), self.squared_error(everything, mean)

    def masses_between(self, positions: Positions) -> Doubles:
        """Weight from each position to the next, shape (one less)."""
        return np.diff(positions if self.mass is None else self.mass[positions]).astype(np.float64)

    def means_between(self, positions: Positions) -> Doubles:
        """Mean from each position to the next, shape (one less); within the interval's values, NaN of an empty one."""
        masses = self.masses_between(positions)
        is_empty = positions[1:] == positions[:-1]
        means = np.diff(self.sums[positions]) / np.where(is_empty, 1.0, masses)
        first = self.values[np.minimum(positions[:-1], len(self.values) - 1)]
        # Rounding must not move the mean of equal values.
        means = np.clip(means, first, np.maximum(first, self.values[positions[1:] - 1]))
        means[is_empty] = np.nan
        return means

    def squared_error(self, positions: Positions, centroids: Floats | Doubles) -> float:
        """Weighted mean of the squared distance between the values from each position to the next and a centroid."""
        total = 0.0
        for start in range(0, len(self.values), _CHUNK):
            end = min(start + _CHUNK, len(self.values))
            lengths = np.diff(positions.clip(start, end))
            error = self.values[start:end] - np.repeat(centroids.astype(np.float64), lengths)
            total += float(error @ error if self.masses is None else (error * error) @ self.masses[start:end])
        return total / (len(self.values) if self.masses is None else float(self.masses.sum()))


def as_row(values: Numbers) -> Floats:
    """Numbers of any shape as one row of float32."""
    array = values.detach().to("cpu", torch.float32).numpy() if isinstance(values, Tensor) else np.asarray(values)
    return array.astype(np.float32, copy=False).reshape(-1)


def sums_from_the_middle(terms: Floats | Doubles) -> Doubles:
    """Running sums whose differences are sums of terms, shape (n + 1,), 0 in the middle.

    Far values of sorted data stand at both ends: counted from the middle outwards, they take no digits from the others.
    """
    middle = len(terms) // 2
    sums = np.empty(len(terms) + 1)
    sums[middle] = 0.0
    np.cumsum(terms[middle:], out=sums[middle + 1 :], dtype=np.float64)
    np.cumsum(terms[:middle][::-1], out=sums[:middle][::-1], dtype=np.float64)
    np.negative(sums[:middle], out=sums[:middle])
    return sums


def _sorted_with(row: Floats, masses: Doubles) -> tuple[Floats, Doubles]:
    if masses.shape != row.shape or not np.isfinite(masses).all() or (masses < 0).any():
        raise PackingError(
            f"weights must be {len(row)} finite numbers of at least 0, got {_worded(masses)}: give one for each value"
        )
    row, masses = row[masses > 0], masses[masses > 0]
    order = np.argsort(row)
    return row[order], masses[order]


def _worded(row: Floats | Doubles) -> str:
    return f"{len(row)} from {row.min():g} to {row.max():g}" if len(row) else "none"
