"""What was measured of one candidate's structure: all that the cost tables learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Configuration, SearchSpace
from .table_file import SUBJECT


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured candidate.

    Attributes:
        configuration: Canonical.
        operator_times: The runtime's profile of it.
        latency_ms: Measured.
        size_bytes: Of its file.
    """

    configuration: Configuration
    operator_times: tuple[OperatorTime, ...]
    latency_ms: float
    size_bytes: float

    def is_in(self, space: SearchSpace) -> bool:
        """Whether the space offers all of its choices."""
        offered = {site.name: site.choices for site in space.sites}
        return all(choice in offered.get(name, ()) for name, choice in self.configuration.items())

    def to_entry(self) -> dict[str, Any]:
        """Plain data for a table file."""
        times = [[t.layer, t.operator, t.precision, round(t.microseconds, 2)] for t in self.operator_times]
        return {
            SUBJECT: self.configuration.to_json(),
            "operators": times,
            "latency_ms": self.latency_ms,
            "size_bytes": self.size_bytes,
        }

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_entry`.

        Raises:
            KeyError, TypeError, ValueError, SpaceError: It is not the entry of an observation.
        """
        latency_ms, size_bytes = float(entry["latency_ms"]), float(entry["size_bytes"])
        times = tuple(OperatorTime(*row) for row in entry["operators"])
        if not (0 < latency_ms < math.inf and 0 <= size_bytes < math.inf and times):
            raise ValueError(f"an observation must have a time, a size and operators, got {latency_ms}, {size_bytes}")
        return cls(Configuration.from_json(entry[SUBJECT]), times, latency_ms, size_bytes)
