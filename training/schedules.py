"""Values that change over a training, as pure functions of the progress between 0 and 1."""

from __future__ import annotations

import math


def one_cycle(progress: float, warmup: float) -> float:
    """Rises from 1/25 to 1 during the warm-up, then falls to 0 along a cosine (Smith & Topin 2019).

    Args:
        progress: Share of the steps taken, between 0 and 1.
        warmup: Share of the steps during which the rate rises.
    """
    start = 1 / 25
    if progress < warmup:
        return start + (1 - start) * 0.5 * (1 - math.cos(math.pi * progress / warmup))
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-9, 1 - warmup)))


def linearity(progress: float, duration: float) -> float:
    """α of folded activations: from 0 to 1 over the first `duration` of the training, then 1."""
    return 1.0 if duration <= 0 else min(1.0, progress / duration)
