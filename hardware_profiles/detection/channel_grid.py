"""Which multiples of channels a machine rewards, from the times of one network at many widths. Pure functions.

Vector units, and the blocked layouts that kernels use for them, work on 4 to 32 channels at once. A width that is no
multiple of that takes as long as the next one that is, or longer: the time over the width is a staircase, with dents
downwards where the vectors are full. Pruning to a width between them wins nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

GRIDS = (1, 2, 4, 8, 16, 32)
TOLERANCE = 0.05
"""How much more than in proportion a width may take. Less than that is hardly told apart, and not worth leaving widths
out of the search for; a vector that is not full costs 10 % to 120 % at these widths (DESIGN.md has curves)."""


@dataclass(frozen=True, slots=True)
class GridFinding:
    """What a sweep over widths says.

    Attributes:
        grid: The channel grid.
        worst_off_grid: How much the worst width off the grid takes above the envelope, as a fraction; 0 where there is
            none.
        worst_on_grid: The same of the widths on the grid.
    """

    grid: int
    worst_off_grid: float
    worst_on_grid: float


def find_channel_grid(times_ms: Mapping[int, float], tolerance: float = TOLERANCE) -> GridFinding:
    """Finds the smallest grid whose multiples are all efficient.

    The *lower envelope* is the lower convex hull of the points (width, time): what a width would take if time could be
    divided between the efficient widths around it. It is convex as the cost itself is, which grows with the width or
    with its square. A width lies on the envelope if it takes at most ``1 + tolerance`` times as long as that. The grid
    is the smallest of `GRIDS` whose measured multiples all lie on it.

    Args:
        times_ms: Time of the same network at each width, in any unit; the narrowest and the widest must be multiples of
            the largest grid, so that one always fits.
        tolerance: See above.

    Raises:
        ValueError: The ends of the sweep are not such multiples, or there are fewer than two widths.
    """
    ends = (min(times_ms, default=0), max(times_ms, default=0))
    if len(times_ms) < 2 or any(width % GRIDS[-1] for width in ends):
        raise ValueError(f"a sweep must reach from one multiple of {GRIDS[-1]} to another, got {ends}: widen it")
    excess = excess_over_envelope(times_ms)
    grid = next(grid for grid in GRIDS if all(excess[width] <= tolerance for width in excess if width % grid == 0))
    return GridFinding(
        grid,
        worst_off_grid=max((excess[width] for width in excess if width % grid), default=0.0),
        worst_on_grid=max(excess[width] for width in excess if width % grid == 0),
    )


def excess_over_envelope(times: Mapping[int, float]) -> dict[int, float]:
    """How much longer each width takes than the lower convex hull of all of them, as a fraction of the hull."""
    corners = _lower_hull(sorted(times.items()))
    excess = {}
    for (left, left_time), (right, right_time) in itertools.pairwise(corners):
        for width in (width for width in times if left <= width <= right):
            share = (width - left) / (right - left)
            excess[width] = times[width] / (left_time + share * (right_time - left_time)) - 1.0
    return dict(sorted(excess.items()))


def _lower_hull(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The corners of the lower convex hull of points in ascending order (Andrew's monotone chain)."""
    hull: list[tuple[int, float]] = []
    for point in points:
        while len(hull) > 1 and not _turns_upwards(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_upwards(first: tuple[int, float], second: tuple[int, float], third: tuple[int, float]) -> bool:
    (x1, y1), (x2, y2), (x3, y3) = first, second, third
    return (y2 - y1) * (x3 - x2) < (y3 - y2) * (x2 - x1)
