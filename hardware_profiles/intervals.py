"""The statistics of the meter: distribution-free intervals for a median, and when to stop. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def order_statistic_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Gives the narrowest symmetric order-statistic interval for the median.

    For n independent values the interval from the k-th smallest to the k-th largest holds the median of their
    distribution with probability ``1 - 2 * P(Binomial(n, 1/2) < k)``, whatever the distribution (Conover, "Practical
    Nonparametric Statistics", section 3.2). The largest k that reaches the confidence is taken.

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
    n = len(values)
    largest_tail = (1.0 - confidence) / 2.0
    tail, k = 0.0, 0
    while k < n:
        tail += math.comb(n, k) / 2**n
        if tail > largest_tail:
            break
        k += 1
    if k == 0:
        return -math.inf, math.inf
    ordered = sorted(values)
    return ordered[k - 1], ordered[n - k]


def relative_half_width(log_ratios: Sequence[float], confidence: float = 0.95) -> float:
    """Gives half the width of the median ratio's interval, as a fraction of that ratio.

    Args:
        log_ratios: Natural logarithms of the ratios.
        confidence: The interval's coverage.

    Returns:
        The fraction, infinite where the sample is too small for an interval.
    """
    low, high = order_statistic_interval(log_ratios, confidence)
    if math.isinf(low):
        return math.inf
    median = statistics.median(log_ratios)
    return (math.exp(high - median) - math.exp(low - median)) / 2.0


def is_converged(log_ratios: Sequence[float], half_width: float, min_pairs: int, confidence: float = 0.95) -> bool:
    """Says whether the median ratio is known well enough to stop measuring.

    Looking after every pair makes the coverage of the interval at stopping somewhat smaller than its nominal value;
    `min_pairs` bounds that, and the rule of 1.5 % for ties (DESIGN.md) covers the rest.

    Args:
        log_ratios: Natural logarithms of the ratios measured so far.
        half_width: The largest acceptable half-width, as a fraction of the ratio.
        min_pairs: The least number of ratios.
        confidence: The interval's coverage.
    """
    return len(log_ratios) >= min_pairs and relative_half_width(log_ratios, confidence) <= half_width
