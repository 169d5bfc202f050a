"""Exact k-means of numbers on a line: the codebook of k values that a weight loses least by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from .optimal_intervals import optimal_intervals
from .sorted_values import Floats, Numbers, Positions, SortedValues

N_BINS = 16_384
BINS_PER_CLUSTER = 4
"""At least so many, or equal values could leave fewer bins than clusters."""
MOST_STEPS = 100
"""Of Lloyd's algorithm behind the exact partition of the bins; it stands still, or changes next to nothing, by then."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Values that stand for others: each for those nearest to it.

    Attributes:
        centroids: float32, shape (k,), ascending, no two equal.
        edges: float32, shape (k - 1,): a value belongs to cluster i where i edges are below it.
        mse: Mean squared distance between the values and their centroids.
    """

    centroids: Tensor
    edges: Tensor
    mse: float


def cluster(values: Numbers, k: int, *, weights: Numbers | None = None, n_bins: int = N_BINS) -> Clusters:
    """The k centroids of the least mean squared distance to values on a line.

    Up to `n_bins` distinct values: exact, by dynamic programming. More: the exact partition of as many bins, each at
    the mean of its values, then Lloyd's algorithm on the values themselves. Nothing is drawn by chance.

    Args:
        values: Any shape, taken as float32.
        k: Number of clusters; where fewer values differ, these are the centroids, to the last bit.
        weights: As many as values, at least 0 each; None for 1.
        n_bins: At least 4 k. Time and memory (8 k n_bins bytes) grow with it.

    Raises:
        PackingError: k or the number of bins is too small, or values or weights are none to be clustered.
    """
    if k < 1 or n_bins < BINS_PER_CLUSTER * k:
        raise PackingError(
            f"clusters must be at least 1 and bins at least {BINS_PER_CLUSTER} for each, got {k} and {n_bins}: "
            "ask for fewer clusters or give more bins"
        )
    line = SortedValues.of(values, weights)
    return clusters_at(line, line.distinct().values) if line.n_distinct <= k else optimal_clusters(line, k, n_bins)


def optimal_clusters(line: SortedValues, k: int, n_bins: int = N_BINS) -> Clusters:
    """As `cluster`, of values that are sorted already and of which more than k differ."""
    if line.n_distinct <= n_bins:
        line = line.distinct()
        values = line.values.astype(np.float64)
        intervals = optimal_intervals(values, line.masses_between(np.arange(len(values) + 1)), k)
        return clusters_at(line, line.means_between(intervals).astype(np.float32))
    bins = line.bins(n_bins)
    intervals = bins[optimal_intervals(line.means_between(bins), line.masses_between(bins), k)]
    return lloyd(line, line.means_between(intervals).astype(np.float32), MOST_STEPS)


def lloyd(line: SortedValues, centroids: Floats, most_steps: int) -> Clusters:
    """Centroids moved to the means of the values nearest to them, until they stand still.

    Args:
        centroids: Where they start, shape (k,), ascending, no two equal. One with no value nearest to it waits; one
            that has none in the end is left out.
        most_steps: After which it ends anyway.
    """
    positions: Positions | None = None
    for _ in range(most_steps):
        before, positions = positions, _parted(line, _edges(centroids))
        if before is not None and np.array_equal(before, positions):
            break
        means = line.means_between(positions)
        centroids = np.where(np.isnan(means), centroids, means).astype(np.float32)
    return clusters_at(line, centroids)


def clusters_at(line: SortedValues, centroids: Floats) -> Clusters:
    """The clusters of given centroids, ascending and no two equal, without those that no value is nearest to."""
    is_used = np.diff(_parted(line, _edges(centroids))) > 0
    centroids = centroids[is_used] + np.float32(0.0)  # A negative zero is a zero.
    edges = _edges(centroids)
    mse = line.squared_error(_parted(line, edges), centroids)
    return Clusters(torch.from_numpy(centroids), torch.from_numpy(edges), mse)


def _edges(centroids: Floats) -> Floats:
    middle = (centroids[:-1].astype(np.float64) + centroids[1:]) / 2
    edges = middle.astype(np.float32)
    # Between neighbouring floats the middle may round to the upper one, which is its own nearest.
    return np.where(edges < centroids[1:], edges, centroids[:-1])


def _parted(line: SortedValues, edges: Floats) -> Positions:
    inner = np.searchsorted(line.values, edges, side="right")
    return np.concatenate([[0], inner, [len(line.values)]])
