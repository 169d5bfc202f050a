"""Weight sharing: all weights of a layer become one of a few values, and an index each is what is stored.

Source: Han et al. 2016, "Deep Compression", section 3, with its ways to start; the exact one is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError, unknown_name
from .assignment import assign
from .coded_weight import CodedWeight, check_scale, per_channel
from .kmeans import Clusters, clusters_at, lloyd, optimal_clusters
from .lloyd_max import fitted_levels
from .sorted_values import Doubles, Floats, SortedValues

MOST_BITS = 8
MOST_STEPS = 10_000
"""Of Lloyd's algorithm from a start by line or density: only 8 bits of a layer of many millions come so far."""
DEFAULT_START = "optimal"

_Start: TypeAlias = Callable[[SortedValues, int], Clusters]


def sharing_starts() -> tuple[str, ...]:
    """The ways to find the shared values, sorted."""
    return tuple(sorted(_STARTS))


def share_weights(weight: Tensor, bits: int, *, start: str = DEFAULT_START, scale: Tensor | None = None) -> CodedWeight:
    """The weights of a layer as at most 2^bits values, none of which is unused.

    Zeros are removed weights and stay zero: one entry of the codebook is theirs, and the others are found without them.
    A weight of no more values than that is returned as it is, to the last bit; with a scale, to the rounding of a
    product.

    Args:
        weight: Shape (out, ...), taken as float32.
        bits: 1 to 8.
        start: "optimal" has the least squared error; "linear" (from the least to the greatest weight) and "density"
            (quantiles) go on by Lloyd's algorithm until they stand still, or 10,000 steps; "gaussian" takes the best
            levels for the weights' mean and variance as they are.
        scale: float32, shape (out,): what is shared is the weight over its channel's scale, and the scale is kept.

    Raises:
        PackingError: Bits or start are none of these, or a weight is not finite.
    """
    if not 1 <= bits <= MOST_BITS:
        raise PackingError(f"shared weights must have 1 to {MOST_BITS} bits, got {bits}: choose one of these")
    if start not in _STARTS:
        raise PackingError(unknown_name("start", start, _STARTS))
    weight = weight.detach().to("cpu", torch.float32)
    values = weight if scale is None else _unscaled(weight, scale)
    is_kept = values != 0
    n_free = 2**bits - (0 if bool(is_kept.all()) else 1)
    kept = values[is_kept]
    if not len(kept):
        return CodedWeight(torch.zeros(weight.shape, dtype=torch.uint8), torch.zeros(1), scale)
    line = SortedValues.of(kept)
    clusters = clusters_at(line, line.distinct().values) if line.n_distinct <= n_free else _STARTS[start](line, n_free)
    indices = torch.zeros(weight.shape, dtype=torch.uint8)
    indices[is_kept] = assign(kept, clusters)
    if bool(is_kept.all()):
        return CodedWeight(indices, clusters.centroids, scale)
    return _with_zero(indices, is_kept, clusters.centroids, scale)


def compression_rate(n: int, bits: int, k: int) -> float:
    """How many times smaller n weights of so many bits are as indices into a codebook of k of them, before any coding.

    Source: Han et al. 2016, equation 1.
    """
    return n * bits / (n * math.log2(k) + k * bits)


def _with_zero(indices: Tensor, is_kept: Tensor, centroids: Tensor, scale: Tensor | None) -> CodedWeight:
    """The same with an entry for removed weights, in its place among the centroids."""
    place = int((centroids < 0).sum())
    is_there = place < len(centroids) and float(centroids[place]) == 0.0
    if not is_there:
        centroids = torch.cat([centroids[:place], torch.zeros(1), centroids[place:]])
        indices = indices + (indices >= place).to(torch.uint8)
    return CodedWeight(torch.where(is_kept, indices, place).to(torch.uint8), centroids, scale)


def _unscaled(weight: Tensor, scale: Tensor) -> Tensor:
    check_scale(scale, weight)
    divisor = per_channel(scale, weight)
    # A channel of scale 0 can hold nothing but zeros; any other weight in it becomes infinite, which is refused.
    return torch.where(weight == 0, 0.0, weight / divisor)


def _linear(line: SortedValues, k: int) -> Clusters:
    return _settled(line, np.linspace(line.values[0], line.values[-1], k))


def _density(line: SortedValues, k: int) -> Clusters:
    return _settled(line, line.quantiles((np.arange(k) + 0.5) / k))


def _gaussian(line: SortedValues, k: int) -> Clusters:
    mean, variance = line.mean_and_variance()
    return clusters_at(line, fitted_levels(mean, math.sqrt(variance), k).float().numpy())


def _settled(line: SortedValues, start: Floats | Doubles) -> Clusters:
    return lloyd(line, np.unique(start.astype(np.float32)), MOST_STEPS)


_STARTS: dict[str, _Start] = {
    "density": _density,
    "gaussian": _gaussian,
    "linear": _linear,
    "optimal": optimal_clusters,
}
