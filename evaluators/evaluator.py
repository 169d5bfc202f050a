"""What a score is: a measured value that says its unit, its direction and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


def at_profile(name: str, profile: str) -> str:
    """The name of what a hardware profile beside the main one has its own of: `latency_ms@board`."""
    return f"{name}@{profile}"


@dataclass(frozen=True, slots=True)
class Score:
    """One value of a candidate.

    Attributes:
        name: For example `accuracy`, `latency_ms`, `latency_ms@board`.
        value: In `unit`.
        unit: For people: `%`, `ms`, `bytes`, `MACs`, `pt`, `mJ`.
        is_higher_better: Direction.
        low: Lower end of the 95 % interval, or of what was seen where there are too few values for one; None where the
            value is exact.
        high: Upper end.
    """

    name: str
    value: float
    unit: str
    is_higher_better: bool
    low: float | None = None
    high: float | None = None

    def renamed(self, name: str) -> Score:
        """The same under another name."""
        return replace(self, name=name)

    def to_json(self) -> dict[str, Any]:
        """Plain data for records."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Score:
        """The inverse of `to_json`."""
        return cls(**data)
