"""One evaluated candidate, as it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..evaluators.evaluator import Score
from ..spaces.configuration import Configuration


class Fidelity(StrEnum):
    """How much training a candidate's accuracy had. Fronts compare one fidelity only."""

    CALIBRATED = "calibrated"
    SHORT = "short"
    FULL = "full"


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    DOMINATED = "dominated"
    """Closed after latency and size: even the best accuracy seen would not bring it into the front."""
    FAILED = "failed"


REMEASURED = "remeasured"
"""Detail of a trial that was only measured again: the number of the one that it replaces."""
FROM = "from"
"""Detail of a trial that came from an earlier run: which one, and its number there."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration at a fidelity, and what came out.

    Attributes:
        number: From 0 in the order in which the trials ended; trial 0 is the baseline.
        configuration: Canonical.
        fidelity: Training behind the accuracy.
        state: How it ended.
        scores: By name: `accuracy` (%, validation), `accuracy_drop` (pt), `latency_ms`, `size_bytes`, `macs`; final
            members also `test_accuracy`, `test_drop`, `parity_error` (difference between the outputs of torch and the
            runtime, over their deviation).
        origin: Why it was proposed: `baseline`, `uniform prune 50 %`, `sweep`, `mutation of #12`.
        parent: The trial it was promoted from, or None.
        reason: Why it failed or was closed; empty when complete.
        seconds: Wall time by stage: `prepare`, `export`, `measure`, `train`, `evaluate`.
        artefact: Name of its file in the run's `artefacts` directory, or None.
        is_verified: Final members: exported, reloaded and in parity with torch. None where not checked.
        details: Facts for people: executed int8 layers, quality of the latency, state of Optuna's sampler.
    """

    number: int
    configuration: Configuration
    fidelity: Fidelity
    state: State
    scores: Mapping[str, Score] = field(default_factory=dict)
    origin: str = ""
    parent: int | None = None
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    artefact: str | None = None
    is_verified: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """The value of a score.

        Raises:
            KeyError: The trial has no such score.
        """
        return self.scores[name].value

    @property
    def supersedes(self) -> int | None:
        """The number of the trial that was measured again and that this one replaces; None of all others."""
        number: int | None = self.details.get(REMEASURED)
        return number

    @property
    def is_reused(self) -> bool:
        """Whether it came from an earlier run."""
        return FROM in self.details

    def is_candidate(self, lowest: Fidelity) -> bool:
        """Whether it is a candidate's first accuracy: no baseline, promotion, repeated measurement or earlier run's.

        Args:
            lowest: The first fidelity of candidates.
        """
        is_new = self.parent is None and self.supersedes is None and not self.is_reused
        return self.fidelity is lowest and len(self.configuration) > 0 and is_new

    def to_json(self) -> dict[str, Any]:
        """Plain data for the record."""
        return {
            "number": self.number,
            "configuration": self.configuration.to_json(),
            "fidelity": self.fidelity.value,
            "state": self.state.value,
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "origin": self.origin,
            "parent": self.parent,
            "reason": self.reason,
            "seconds": dict(self.seconds),
            "artefact": self.artefact,
            "is_verified": self.is_verified,
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The inverse of `to_json`."""
        return cls(
            **{
                **data,
                "configuration": Configuration.from_json(data["configuration"]),
                "fidelity": Fidelity(data["fidelity"]),
                "state": State(data["state"]),
                "scores": {name: Score.from_json(score) for name, score in data["scores"].items()},
            }
        )
