"""Finds the strength of linearisation that leaves so many activations. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

FACTOR = 4.0
"""Step while only one side of the budget is known."""
MAX_PROBES = 8
CLOSE = 1.05
"""Two strengths within this ratio are not told apart any further."""


def next_strength(tried: Mapping[float, int], budget: int, first: float) -> float | None:
    """The strength to try next, None where the search has ended.

    Args:
        tried: Activations that each strength left. More strength leaves fewer, by and large; where it is not so, the
            bracket is the weakest strength within the budget and the strongest below it.
        budget: Most activations that may be left.
        first: Where the search begins.
    """
    if budget in tried.values() or len(tried) >= MAX_PROBES:
        return None
    if not tried:
        return first
    high = min((strength for strength, n in tried.items() if n <= budget), default=math.inf)
    low = max((strength for strength, n in tried.items() if n > budget and strength < high), default=0.0)
    if high == math.inf:
        return _rounded(low * FACTOR)
    if low == 0.0:
        return _rounded(high / FACTOR)
    return None if high / low <= CLOSE else _rounded(math.sqrt(low * high))


def best_strength(tried: Mapping[float, int], budget: int) -> float | None:
    """The strength that leaves the most activations within the budget, the weaker of equals; None where none does."""
    within = [(-n, strength) for strength, n in tried.items() if n <= budget]
    return min(within)[1] if within else None


def _rounded(strength: float) -> float:
    """Four digits, so that a strength has a short name and is the same when a sweep goes on."""
    return float(f"{strength:.4g}")
