"""What is asked of whatever proposes configurations, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..spaces import Configuration
from .trial import Trial

PARENTS = "parents"
"""Detail of a proposal and its trial: the numbers of the trials that it was made from."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to evaluate.

    Attributes:
        configuration: Canonical, never one that was told or proposed before.
        origin: Why: `uniform prune 50 %`, `sweep …`, `mutation of #12`.
        details: What the proposer wants back with the trial.
    """

    configuration: Configuration
    origin: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        choices = dict(self.configuration)
        return {"configuration": choices, "origin": self.origin, "details": dict(self.details)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Proposal:
        """The inverse of `to_json`."""
        return cls(Configuration.of(data["configuration"]), data["origin"], data["details"])


class Proposer(Protocol):
    """Where configurations come from."""

    def ask(self, n: int) -> list[Proposal]:
        """Up to n new proposals; fewer or none when the space is exhausted."""
        ...

    def tell(self, trial: Trial) -> None:
        """An ended trial, whichever way it ended."""
        ...
