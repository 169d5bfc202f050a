"""What a score is: a measured value that says its unit, its direction and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """One value of a candidate.

    Attributes:
        name: For example `accuracy`, `latency_ms`, `size_bytes`.
        value: In `unit`.
        unit: For people: `%`, `ms`, `bytes`, `MACs`, `pt`.
        is_higher_better: Direction.
        low: Lower end of the 95 % interval; None where the value is exact.
        high: Upper end.
    """

    name: str
    value: float
    unit: str
    is_higher_better: bool
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for records."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Score:
        """The inverse of `to_json`."""
        return cls(**data)
