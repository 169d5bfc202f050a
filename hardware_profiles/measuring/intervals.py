"""The statistics of the meter: intervals for a centre that assume no distribution, and when to stop. Pure functions.

Two networks take turns, and who comes first is swapped from pair to pair. So whatever disturbs one burst would as well
have disturbed the other one's, and the logarithms of the pairs' ratios lie symmetrically around their centre. With
symmetry, the order statistics of all pairwise means (Walsh averages) give a narrower interval than those of the values
themselves: for normal noise 11 pairs do what takes 17.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def centre(values: Sequence[float]) -> float:
    """Gives the Hodges-Lehmann estimate: the median of all pairwise means, in the unit of `values`.

    Up to 29 % of the values may lie anywhere without moving it far.

    Source: Hodges and Lehmann 1963, "Estimates of location based on rank tests".
    """
    return float(np.median(_walsh_averages(values)))


def signed_rank_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Gives the narrowest symmetric interval for the centre of a symmetric distribution, whatever its shape.

    Its bounds are the (k+1)-th smallest and (k+1)-th largest of the pairwise means, with the largest k for which
    Wilcoxon's signed-rank statistic W keeps ``P(W <= k) <= (1 - confidence) / 2``.

    Source: Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", section 3.3 (Tukey's interval).

    Args:
        values: The sample, in any order and unit.
        confidence: The wanted coverage, above 0 and below 1.

    Returns:
        The bounds, in the unit of `values`; (-inf, inf) where the sample is too small (n < 6 at 95 %).

    Raises:
        ValueError: `confidence` is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}: use for instance 0.95")
    k = _largest_rank(len(values), (1.0 - confidence) / 2.0)
    if k < 0:
        return -math.inf, math.inf
    averages = _walsh_averages(values)
    averages.partition((k, len(averages) - 1 - k))
    return float(averages[k]), float(averages[len(averages) - 1 - k])


def relative_half_width(log_ratios: Sequence[float], confidence: float = 0.95) -> float:
    """Gives half the width of the central ratio's interval, as a fraction of that ratio.

    Args:
        log_ratios: Natural logarithms of the ratios.
        confidence: The interval's coverage.

    Returns:
        The fraction, infinite where the sample is too small for an interval.
    """
    low, high = signed_rank_interval(log_ratios, confidence)
    if math.isinf(low):
        return math.inf
    middle = centre(log_ratios)
    return (math.exp(high - middle) - math.exp(low - middle)) / 2.0


def is_converged(log_ratios: Sequence[float], half_width: float, min_pairs: int, confidence: float = 0.95) -> bool:
    """Says whether the central ratio is known well enough to stop measuring.

    Looking after every pair makes the coverage of the interval at stopping somewhat smaller than its nominal value;
    `min_pairs` bounds that (docs/measuring.md).

    Args:
        log_ratios: Natural logarithms of the ratios measured so far.
        half_width: The largest acceptable half-width, as a fraction of the ratio.
        min_pairs: The least number of ratios.
        confidence: The interval's coverage.
    """
    return len(log_ratios) >= min_pairs and relative_half_width(log_ratios, confidence) <= half_width


def _walsh_averages(values: Sequence[float]) -> NDArray[np.float64]:
    """The means of all pairs, each value with itself too: n (n + 1) / 2 of them."""
    array = np.asarray(values, np.float64)
    first, second = np.triu_indices(len(array))
    averages: NDArray[np.float64] = (array[first] + array[second]) / 2.0
    return averages


@functools.cache
def _largest_rank(n: int, tail: float) -> int:
    """The largest k with P(W <= k) <= tail for n values, -1 where there is none."""
    # How many of the 2^n sign patterns give each rank sum: rank r adds itself or not.
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1.0
    for rank in range(1, n + 1):
        counts[rank:] += counts[:-rank].copy()
    below = np.cumsum(counts / 2.0**n)
    return int(np.searchsorted(below, tail, side="right")) - 1
