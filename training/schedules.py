"""Values that change over a training, as pure functions of the progress between 0 and 1."""

from __future__ import annotations

import math

from .recipe import TrainingRecipe


def rate(progress: float, recipe: TrainingRecipe) -> float:
    """The learning rate as a share of its peak.

    Args:
        progress: Share of the steps taken, between 0 and 1.
        recipe: Names the schedule.
    """
    if recipe.schedule == "one-cycle":
        return one_cycle(progress, recipe.warmup)
    if recipe.schedule == "constant":
        return 1.0
    return cosine_cycles(progress, recipe.n_cycles if recipe.schedule == "snapshots" else 1)


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


def cosine_cycles(progress: float, n_cycles: int) -> float:
    """Falls from 1 to 0 along a cosine, `n_cycles` times (Huang et al. 2017, "Snapshot Ensembles").

    Args:
        progress: Share of the steps taken, between 0 and 1.
        n_cycles: How often.
    """
    return 0.5 * (1 + math.cos(math.pi * (progress * n_cycles % 1.0)))


def linearity(progress: float, duration: float) -> float:
    """α of folded activations: from 0 to 1 over the first `duration` of the training, then 1."""
    return 1.0 if duration <= 0 else min(1.0, progress / duration)
