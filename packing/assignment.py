"""Which cluster each value belongs to, by a table of cells instead of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from .coded_weight import MOST_CODES
from .kmeans import Clusters
from .sorted_values import Floats, Numbers, Positions, as_row

CELLS_PER_CLUSTER = 64
"""So that hardly a cell holds more than one edge."""
_CHUNK = 1 << 15
"""Values looked up at a time, so that what is computed of them stays in a core's cache."""


def assign(values: Numbers, clusters: Clusters) -> Tensor:
    """The index of the centroid nearest to each value, of two equally near the lower one.

    Args:
        values: Any shape, taken as float32.

    Returns:
        uint8 for up to 256 clusters, int64 above; the shape of the values.

    Raises:
        PackingError: A value is not finite.
    """
    row = as_row(values)
    table = _Table.of(clusters.edges.numpy())
    indices = np.empty(len(row), np.uint8 if len(clusters.centroids) <= MOST_CODES else np.int64)
    for start in range(0, len(row), _CHUNK):
        chunk = row[start : start + _CHUNK]
        if not np.isfinite(chunk).all():
            raise PackingError("values must be finite, but some are not: check the weight")
        indices[start : start + _CHUNK] = table.n_edges_below(chunk)
    return torch.from_numpy(indices).reshape(tuple(values.shape))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Cells of equal width from the first edge to the last, each with what decides of the values in it.

    The cell is found by float arithmetic that never falls where the value grows, so that a value in another cell than
    an edge lies on the same side of it as its cell: the answer is exact whatever the rounding.

    Attributes:
        edges: Shape (k - 1,).
        scale: Cells per unit; where it is 0 or infinite there is no table.
        n_below: Number of edges in the cells before each.
        first: The first edge in each cell, infinite where there is none.
        is_crowded: Whether a cell holds several edges.
    """

    edges: Floats
    scale: np.float32
    n_below: npt.NDArray[Any]
    first: Floats
    is_crowded: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, edges: Floats) -> Self:
        """Of edges in ascending order, k - 1 of them; of one or none there is nothing to look up."""
        n_cells = CELLS_PER_CLUSTER * (len(edges) + 1)
        with np.errstate(over="ignore", divide="ignore"):
            scale = np.float32(n_cells) / (edges[-1] - edges[0]) if len(edges) > 1 else np.float32(np.inf)
        first = np.full(n_cells, np.inf, np.float32)
        table = cls(edges, scale, np.zeros(n_cells, np.int64), first, np.zeros(n_cells, np.bool_))
        if not 0 < scale < np.inf:
            return table
        cells = table.cells(edges)
        first[cells[::-1]] = edges[::-1]
        n_below = np.searchsorted(cells, np.arange(n_cells))
        dtype = np.uint8 if len(edges) < MOST_CODES else np.int64
        return cls(edges, scale, n_below.astype(dtype), first, np.bincount(cells, minlength=n_cells) > 1)

    def cells(self, values: Floats) -> Positions:
        """The cell of each value; what lies outside is in the first or the last."""
        with np.errstate(over="ignore"):
            place: Floats = values - self.edges[0]
            place *= self.scale
        np.clip(place, 0, len(self.first) - 1, out=place)
        return place.astype(np.intp)

    def n_edges_below(self, values: Floats) -> npt.NDArray[Any]:
        """How many edges each value lies above."""
        if not 0 < self.scale < np.inf:
            return np.searchsorted(self.edges, values).astype(np.int64)
        cells = self.cells(values)
        below: npt.NDArray[Any] = self.n_below.take(cells) + (values > self.first.take(cells))
        if self.is_crowded.any():
            is_crowded = self.is_crowded.take(cells)
            below[is_crowded] = np.searchsorted(self.edges, values[is_crowded])
        return below
