"""What a search trades off: the objectives, the axis that each is drawn on, and the box that fronts are judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..hardware_profiles.errors import SearchError, unknown_name
from .pareto import Point
from .trial import Trial

MAX_DROP = 5.0
"""Percentage points of accuracy below the baseline at which a candidate is worth nothing."""
MAX_RATIO = 64.0
"""How many times faster or smaller than the baseline fills the hypervolume's box."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that every candidate has a score for.

    Attributes:
        score: Name of the score; lower is better.
        unit: Its unit.
        is_measured: Whether it comes with an interval, so that small differences are ties.
        has_profile: Whether each hardware profile has its own.
        is_structural: Whether it is known before any training.
    """

    score: str
    unit: str
    is_measured: bool = False
    has_profile: bool = False
    is_structural: bool = True


QUANTITIES: Mapping[str, Quantity] = {
    "accuracy": Quantity("accuracy_drop", "pt", is_structural=False),
    "latency": Quantity("latency_ms", "ms", is_measured=True, has_profile=True),
    "size": Quantity("size_bytes", "bytes", has_profile=True),
    "stored": Quantity("stored_bytes", "bytes"),
    "macs": Quantity("macs", "MACs"),
    "memory": Quantity("memory_bytes", "bytes", is_measured=True, has_profile=True),
    "energy": Quantity("energy_mj", "mJ", is_measured=True, has_profile=True),
}
"""By the name that people use."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One axis of the front.

    Attributes:
        name: As people write it: `accuracy`, `latency`, `latency@board`.
        max_drop: Points of accuracy lost that end the axis of the accuracy; the others end at the baseline.
    """

    name: str
    max_drop: float = MAX_DROP

    @property
    def quantity(self) -> Quantity:
        """What it is made of."""
        return QUANTITIES[self.name.partition("@")[0]]

    @property
    def score(self) -> str:
        """Name of the score that it reads: `accuracy_drop`, `latency_ms`, `latency_ms@board`."""
        _, at, profile = self.name.partition("@")
        return f"{self.quantity.score}{at}{profile}"

    @property
    def is_accuracy(self) -> bool:
        """Whether it is what training wins and compression loses."""
        return not self.quantity.is_structural

    @property
    def worst(self) -> float:
        """Coordinate at which a candidate is worth nothing: so many points lost, or as much as the baseline takes."""
        return 1.0 if self.is_accuracy else 0.0

    @property
    def best(self) -> float:
        """Coordinate at the other end of the box: no accuracy lost, or 64 times less than the baseline takes."""
        return self.worst - 1.0

    def coordinate(self, value: float, baseline: float) -> float:
        """A score on the axis; lower is better.

        Ratios in logarithms, so that halving a small network counts as much as halving a large one.

        Args:
            value: Of the score.
            baseline: The same score of the baseline; not used for the accuracy, whose score is a difference to it.
        """
        return value / self.max_drop if self.is_accuracy else math.log(value / baseline) / math.log(MAX_RATIO)

    def value(self, coordinate: float, baseline: float) -> float:
        """The inverse of `coordinate`."""
        return coordinate * self.max_drop if self.is_accuracy else baseline * MAX_RATIO**coordinate


@dataclass(frozen=True, slots=True)
class Objectives(Sequence[Objective]):
    """The axes of the front, in the order in which they were asked for.

    The box reaches from the worst corner, which the baseline fixes, to 64 times faster and smaller at no loss. It
    depends neither on the space nor on what was found, so that hypervolumes compare across runs.
    """

    axes: tuple[Objective, ...]

    def __getitem__(self, position: int) -> Objective:  # type: ignore[override]  # slices are not needed
        return self.axes[position]

    def __len__(self) -> int:
        return len(self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        """As people write them."""
        return tuple(axis.name for axis in self.axes)

    @property
    def reference(self) -> Point:
        """The worst corner: all accuracy lost that may be, as slow and as large as the baseline."""
        return tuple(axis.worst for axis in self.axes)

    @property
    def ideal(self) -> Point:
        """The best corner."""
        return tuple(axis.best for axis in self.axes)

    @property
    def main_cost(self) -> Objective:
        """The first objective that is not the accuracy: what accuracy is given for."""
        return next(axis for axis in self.axes if not axis.is_accuracy)

    def point(self, trial: Trial, baseline: Trial) -> Point:
        """A complete trial as a point; every coordinate is minimised."""
        return self.point_of({axis.score: trial.value(axis.score) for axis in self.axes}, baseline)

    def point_of(self, values: Mapping[str, float], baseline: Trial) -> Point:
        """The point of some scores, predicted or measured."""
        return tuple(axis.coordinate(values[axis.score], baseline.value(axis.score)) for axis in self.axes)

    def clipped(self, point: Point) -> Point:
        """A point better than the box counts as on its face."""
        return tuple(max(lowest, x) for lowest, x in zip(self.ideal, point, strict=True))


DEFAULT_OBJECTIVES = Objectives((Objective("accuracy"), Objective("latency"), Objective("size")))


def parse_objectives(names: Iterable[str], profiles: Sequence[str] = ()) -> Objectives:
    """The objectives that a person names.

    Args:
        names: For example `accuracy`, `latency`, `latency@board`, `macs`.
        profiles: Names of the hardware profiles that measure, the main one first.

    Raises:
        SearchError: An unknown name or profile, the same twice, fewer than two, or none but the accuracy.
    """
    axes = tuple(Objective(quantity_name(name.strip(), profiles)) for name in names)
    if len({axis.name for axis in axes}) < len(axes):
        raise SearchError(f"each objective may stand once, got {', '.join(axis.name for axis in axes)}: leave one out")
    if len(axes) < 2:
        got = axes[0].name if axes else "none"
        raise SearchError(f"a front has at least 2 objectives, got {got}: add one of {', '.join(QUANTITIES)}")
    return Objectives(axes)


def quantity_name(name: str, profiles: Sequence[str] = ()) -> str:
    """The name of a quantity as it is stored: the main profile's own have no `@`.

    Raises:
        SearchError: Unknown name, a profile that does not measure, or one where there can be none.
    """
    base, at, profile = name.partition("@")
    if base not in QUANTITIES:
        raise SearchError(unknown_name("objective", base, QUANTITIES))
    if not at:
        return base
    if not QUANTITIES[base].has_profile:
        raise SearchError(f"{base} is the same on every profile, got {name!r}: write {base}")
    if profile not in profiles:
        raise SearchError(
            f"what is measured must be so by one of the profiles {', '.join(profiles) or '(none)'}, got {name!r}: "
            f"add --hardware {profile or 'PROFILE'}"
        )
    return base if profile == profiles[0] else name
