"""The front in three objectives at once: accuracy and the two main costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..search.goals import DEFAULT_GOALS, Goals
from ..search.objectives import Objective
from ..search.trial import Trial
from .front_data import FrontData, FrontPoint, front_data
from .goal_words import costs


@dataclass(frozen=True, slots=True)
class Front3dData:
    """What the picture shows.

    Attributes:
        front: The same trials as in the flat picture, along the first cost.
        second: Each trial's second cost, in the unit that people see it in.
        axis: The second cost; None where the search had only one.
    """

    front: FrontData
    second: dict[int, float]
    axis: Objective | None

    def points(self) -> list[tuple[str, Sequence[FrontPoint]]]:
        """What is drawn, under its name; only trials with an accuracy have a place."""
        front = self.front
        single = [(front.pick_words, front.pick), ("baseline", front.baseline)]
        groups: list[tuple[str, Sequence[FrontPoint]]] = [("dominated or less trained", front.others)]
        groups += [("front", front.members), *((name, (point,)) for name, point in single if point is not None)]
        return [(name, points) for name, points in groups if points]


def front_3d_data(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> Front3dData:
    """Adds the second cost to the flat picture."""
    front = front_data(trials, goals)
    axis = next(iter(costs(goals.objectives)[1:]), None)
    if axis is None:
        return Front3dData(front, {}, None)
    along = front_data(trials, goals, axis)
    single = [point for point in (along.pick, along.baseline) if point is not None]
    points = (*along.members, *along.others, *single)
    return Front3dData(front, {point.number: point.cost.value for point in points}, axis)
