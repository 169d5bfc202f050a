"""Dominance and hypervolume. Pure: points in, numbers out; every objective is minimised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, ...]


def dominates(a: Point, b: Point) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def non_dominated(points: Sequence[Point]) -> list[int]:
    """Positions of the points that no other point dominates, in order; of equal points the first."""
    chosen: list[int] = []
    order = sorted(range(len(points)), key=lambda i: (points[i], i))
    for i in order:  # sorted, so only an earlier point can dominate a later one
        if not any(dominates(points[j], points[i]) or points[j] == points[i] for j in chosen):
            chosen.append(i)
    return sorted(chosen)


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume that the points dominate within the box below the reference point.

    By slicing along the last objective (Knowles 2002): exact, in O(n²) for three objectives.

    Args:
        points: Each of the reference's length; those not below the reference in every objective add nothing.
        reference: The worst corner.
    """
    inside = sorted({p for p in points if all(x < r for x, r in zip(p, reference, strict=True))})
    return _volume(inside, reference)


def hypervolume_gain(point: Point, points: Sequence[Point], reference: Point) -> float:
    """What a point would add to the hypervolume of others."""
    # What the others already hold of the point's own box is the volume of the others, clipped to that box.
    box = 1.0
    for x, r in zip(point, reference, strict=True):
        if x >= r:
            return 0.0
        box *= r - x
    clipped = [tuple(max(x, y) for x, y in zip(point, other, strict=True)) for other in points]
    return box - hypervolume(clipped, reference)


def _volume(points: list[Point], reference: Point) -> float:
    if not points:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(p[0] for p in points)
    if len(reference) == 2:
        return _area(points, reference)
    total = 0.0
    ordered = sorted(points, key=lambda p: p[-1])
    slab: list[Point] = []
    for i, point in enumerate(ordered):
        slab = _insert(slab, point[:-1])
        top = ordered[i + 1][-1] if i + 1 < len(ordered) else reference[-1]
        if top > point[-1]:
            total += (top - point[-1]) * _volume(slab, reference[:-1])
    return total


def _insert(front: list[Point], point: Point) -> list[Point]:
    if any(p == point or dominates(p, point) for p in front):
        return front
    return [p for p in front if not dominates(point, p)] + [point]


def _area(points: list[Point], reference: Point) -> float:
    total, ceiling = 0.0, reference[1]
    for x, y in sorted(points):
        if y < ceiling:
            total += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return total
