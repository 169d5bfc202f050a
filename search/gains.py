"""What each of many candidates would add to the hypervolume of a front, all at once. Pure; all is minimised."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from .pareto import Point, Points, below, non_dominated

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BOXES = 2048
"""Bounds the time of a gain: enough for all of a front of 1,000 in three objectives, some 300 in four, 100 in five."""
CHUNK = 1 << 15
"""Numbers worked on at a time: a quarter of a megabyte, which a core's own cache holds."""
N_REFRESHED = 32
"""Candidates looked at again together when a batch is chosen: as many as cost little more than one."""


class GainBoxes:
    """The region that a front leaves undominated, cut into disjoint boxes.

    The region is unbounded below, so a candidate may be better than all that was seen. To count only what lies within
    an ideal point, clip the candidates to it first.

    Each box belongs to a local upper bound: a corner with no member below it, such that no higher corner would do. A
    new member replaces the bounds above it by their projections on it, of which those survive that a member still
    holds in place in every objective (Dächert, Klamroth, Lacour, Vanderpooten 2017, "Efficient computation of the
    search region in multi-objective optimization"). The members that hold a bound give the lower corner of its box
    (Lacour, Klamroth, Fonseca 2017, "A box decomposition algorithm to compute the hypervolume indicator"). n members
    make n + 1 boxes in two objectives, at most 2 n + 1 in three, and O(n²) in four (6 n on a sphere).

    Attributes:
        n_left_out: Members left out because the boxes would have become too many: those that add least to the others
            taken. Where it is not 0, the gains are upper bounds.
    """

    _bounds: NDArray[np.float64]  # (bounds, objectives)
    _holders: NDArray[np.float64]  # (bounds, objective held, objectives)
    _corners: tuple[NDArray[np.float64], NDArray[np.float64]] | None  # worked out when needed

    def __init__(self, points: Points, reference: Point, max_boxes: int = MAX_BOXES) -> None:
        """Cuts the region up.

        Args:
            points: The front; points that are dominated or not below the reference change nothing.
            reference: The worst corner.
            max_boxes: Where members begin to be left out. `add` knows no limit.

        Raises:
            ValueError: The points have another number of objectives than the reference, or are unbounded.
        """
        self._reference = np.asarray(reference, dtype=float)
        inside = below(points, reference)
        front = inside[non_dominated(inside)]
        self.n_left_out = 0
        self._clear()
        for point in front:
            self.add(point)
            if len(self._bounds) > max_boxes:
                self._fill(front, max_boxes)
                return

    def __len__(self) -> int:
        """Boxes, without those that ties leave empty."""
        return len(self._boxes()[0].T)

    def add(self, point: NDArray[np.float64] | Point) -> None:
        """Takes one more point into the front; see `__init__` for what it may be."""
        new = self._checked(point)
        is_above = (self._bounds > new).all(axis=1)
        bounds, holders = self._bounds[is_above], self._holders[is_above]
        # A bound moved down to the new member in one objective is held in each other one by the member that held it,
        # if that one is below the moved bound. Equal counts as below: as if the later of two equals were the greater,
        # which leaves empty boxes where there are ties and takes nothing from the region.
        others = np.where(np.eye(len(new), dtype=bool), -np.inf, holders).max(axis=1)  # (bounds, objectives)
        row, objective = np.nonzero(others <= new)
        moved, moved_holders = bounds[row], holders[row]
        each = np.arange(len(row))
        moved[each, objective] = new[objective]
        moved_holders[each, objective] = new
        self._bounds = np.concatenate([self._bounds[~is_above], moved])
        self._holders = np.concatenate([self._holders[~is_above], moved_holders])
        self._corners = None

    def gains(self, candidates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The hypervolume that each candidate alone would add.

        Args:
            candidates: Of shape (..., objectives).

        Returns:
            Of shape (...); 0 where a candidate is dominated or not below the reference.

        Raises:
            ValueError: The candidates have another number of objectives than the reference, or are unbounded.
        """
        checked = self._checked(candidates)
        columns = checked.reshape(-1, len(self._reference)).T
        lower, upper = self._boxes()
        gains = np.empty(columns.shape[1])
        step = max(1, CHUNK // max(1, upper.shape[1]))
        for start in range(0, len(gains), step):
            part = slice(start, start + step)
            gains[part] = _volumes(columns[:, part], lower, upper)
        return gains.reshape(checked.shape[:-1])

    def _clear(self) -> None:
        """An empty front: one bound, the reference, held in each objective by a point at minus infinity in the rest."""
        self._bounds = self._reference[None]
        is_held = np.eye(len(self._reference), dtype=bool)
        self._holders = np.where(is_held, self._reference, -np.inf)[None]
        self._corners = None

    def _fill(self, front: NDArray[np.float64], max_boxes: int) -> None:
        """Starts again and takes the members that add most first, until there are boxes enough."""
        self._clear()
        for n_taken, _ in enumerate(_greedy(self, front[:, None]), start=1):
            self.n_left_out = len(front) - n_taken
            if len(self._bounds) >= max_boxes:
                return

    def _boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper corners of the boxes that are not empty, each of shape (objectives, boxes)."""
        if self._corners is None:
            lower = np.full_like(self._bounds, -np.inf)
            for i in range(1, lower.shape[1]):
                lower[:, i] = self._holders[:, :i, i].max(axis=1)
            has_volume = (lower < self._bounds).all(axis=1)
            self._corners = lower[has_volume].T.copy(), self._bounds[has_volume].T.copy()
        return self._corners

    def _checked(self, points: NDArray[np.float64] | Point) -> NDArray[np.float64]:
        array = np.asarray(points, dtype=float)
        if array.shape[-1:] != self._reference.shape:
            raise ValueError(f"points must have {len(self._reference)} objectives, got shape {array.shape}")
        if not (array > -np.inf).all():
            raise ValueError("points must be numbers above minus infinity, got NaN or -inf: leave such candidates out")
        return array


def batch_gains(
    samples: NDArray[np.float64], boxes: GainBoxes, n: int, believed: NDArray[np.float64] | None = None
) -> list[tuple[int, float]]:
    """Chooses n candidates that together promise much: the best, then the best beside that one, and so on.

    What was chosen counts as a member of the front, where it is believed to be, while the next is sought.

    Args:
        samples: What each candidate may turn out to be, of shape (candidates, samples, objectives).
        boxes: The front; it is left as it is.
        n: Fewer are returned where there are fewer candidates.
        believed: Of shape (candidates, objectives); the means of the samples unless given. Give it where some samples
            stand for failure, which would pull the means to where the candidate never is.

    Returns:
        Positions in the order of choice, each with its expected gain beside those chosen before it.
    """
    return list(islice(_greedy(copy.copy(boxes), samples, believed), n))


def _greedy(
    boxes: GainBoxes, samples: NDArray[np.float64], believed: NDArray[np.float64] | None = None
) -> Iterator[tuple[int, float]]:
    """Adds the candidate of the greatest expected gain to the boxes, and yields it; until all are taken.

    A gain can only shrink as the front grows, so an old one is an upper bound, and a candidate need not be looked at
    again before its old gain is the greatest (Minoux 1978, "Accelerated greedy algorithms").
    """
    points = samples.mean(axis=1) if believed is None else believed
    gains = boxes.gains(samples).mean(axis=1)
    is_taken = np.zeros(len(gains), dtype=bool)
    is_old = is_taken.copy()
    n_leading = min(N_REFRESHED, len(gains))
    for _ in range(len(gains)):
        while is_old[best := int(gains.argmax())] and gains[best] > 0:  # what gained nothing never will
            leading = np.argpartition(-gains, n_leading - 1)[:n_leading]
            # The best itself may not be among them: where more of them gain the same, any of these are.
            leading = np.union1d(leading[is_old[leading]], best)
            gains[leading] = boxes.gains(samples[leading]).mean(axis=1)
            is_old[leading] = False
        boxes.add(points[best])
        is_taken[best] = True
        yield best, float(gains[best])
        gains[best] = -np.inf
        is_old = ~is_taken


def _volumes(
    columns: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of all that is above each candidate, the volume within the boxes.

    Args:
        columns: Candidates, of shape (objectives, candidates).
        lower: Corners, of shape (objectives, boxes).
        upper: Corners, of shape (objectives, boxes).
    """
    volumes: NDArray[np.float64] = np.ones((1, 1))
    for values, low, high in zip(columns, lower, upper, strict=True):
        sides = np.maximum(low, values[:, None])  # (candidates, boxes)
        np.subtract(high, sides, out=sides)
        np.maximum(sides, 0.0, out=sides)
        volumes = np.multiply(volumes, sides, out=sides)
    totals: NDArray[np.float64] = volumes.sum(axis=1)
    return totals
