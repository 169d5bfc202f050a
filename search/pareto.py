"""Dominance and hypervolume. Pure: points in, numbers out; every objective is minimised.

The sorting and the volumes are moocore's (Fonseca, Paquete, López-Ibáñez 2006; Guerreiro, Fonseca 2018; Kung, Luccio,
Preparata 1975): exact, O(n log n) in two and three objectives and O(n²) in four. It is imported on first use, because
`parefront --help` has no need of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Point: TypeAlias = tuple[float, ...]
Points: TypeAlias = "Sequence[Point] | NDArray[np.float64]"
"""n points, or an array of shape (n, objectives)."""


def dominates(a: Point, b: Point) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def non_dominated(points: Points) -> list[int]:
    """Positions of the points that no other point dominates, in order; of equal points the first."""
    from moocore import is_nondominated

    if len(points) == 0:
        return []
    return [int(i) for i in np.flatnonzero(is_nondominated(np.asarray(points, dtype=float)))]


def hypervolume(points: Points, reference: Point) -> float:
    """Volume that the points dominate within the box below the reference point.

    Args:
        points: Each of the reference's length; those not below the reference in every objective add nothing.
        reference: The worst corner.

    Raises:
        ValueError: The points have another number of objectives than the reference.
    """
    from moocore import hypervolume as exact_hypervolume

    inside = below(points, reference)
    return float(exact_hypervolume(inside, ref=reference)) if len(inside) else 0.0


def hypervolume_gain(point: Point, points: Points, reference: Point) -> float:
    """What a point would add to the hypervolume of others; for many points at once see `GainBoxes`."""
    if len(below([point], reference)) == 0:
        return 0.0
    # What the others already hold of the point's own box is the volume of the others, clipped to that box.
    clipped = np.maximum(below(points, reference), point)
    if len(clipped) and bool((clipped == point).all(axis=1).any()):  # another is as good: nothing, to the last digit
        return 0.0
    box = float(np.prod(np.subtract(reference, point)))
    return max(0.0, box - hypervolume(clipped, reference))


def below(points: Points, reference: Point) -> NDArray[np.float64]:
    """The points that are below the reference in every objective, shape (n, objectives).

    Raises:
        ValueError: The points have another number of objectives than the reference.
    """
    if len(points) == 0:
        return np.empty((0, len(reference)))
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != len(reference):
        raise ValueError(f"points must have the {len(reference)} objectives of the reference, got shape {array.shape}")
    return array[(array < np.asarray(reference, dtype=float)).all(axis=1)]
