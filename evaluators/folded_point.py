"""What a sweep over the strength of linearisation finds, as values that are kept in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..hardware_profiles.errors import SearchError
from .evaluator import Score

DEFAULT_FACTORS = (0.0625, 0.25, 1.0, 4.0)
"""λ of a sweep as multiples of the published one, for a training of that length (`published_strength`)."""


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How a sweep goes.

    Attributes:
        strengths: λ of each point; `DEFAULT_FACTORS` where it is None. Not used where there is a budget.
        budget: Most activations that may be left: λ is then found by bisection. None for a sweep over `strengths`.
        n_seeds: Trainings per point, with seeds from 0.
        tolerance_pt: Accuracy that may be lost, in percentage points.
        threshold: α from which an activation is taken to be linear.
        training: The task's recipe for linearising and for the fine-tune after folding: `short` or `full`.
        has_scratch: Whether each folded architecture is trained from scratch, too.
        max_growth: Most that a merged layer may cost, as a multiple of the MACs of the layers that it replaces.
    """

    strengths: tuple[float, ...] | None = None
    budget: int | None = None
    n_seeds: int = 1
    tolerance_pt: float = 1.0
    threshold: float = 0.9
    training: str = "full"
    has_scratch: bool = True
    max_growth: float = 4.0

    def __post_init__(self) -> None:
        if self.strengths is not None and not self.strengths:
            raise SearchError("a sweep must have at least one strength λ, got none: give for instance --lambdas 0.1,1")
        for strength in self.strengths or ():
            if not 0 <= strength < float("inf"):
                raise SearchError(f"a strength λ must be a number of at least 0, got {strength:g}: 0 folds nothing")
        if self.budget is not None and self.budget < 0:
            raise SearchError(f"the budget must be at least 0 activations, got {self.budget}")
        if self.n_seeds < 1:
            raise SearchError(f"there must be at least 1 seed, got {self.n_seeds}")
        if not self.tolerance_pt >= 0:
            raise SearchError(f"the tolerance must be at least 0 pt, got {self.tolerance_pt:g}")
        if not 0 < self.threshold <= 1:
            raise SearchError(f"the threshold of α must be above 0 and at most 1, got {self.threshold:g}")
        if not self.max_growth > 0:
            raise SearchError(f"the growth of merged layers must be above 0, got {self.max_growth:g}")
        if self.training not in ("short", "full"):
            raise SearchError(f"unknown training {self.training!r}: known ones are short, full")


@dataclass(frozen=True, slots=True)
class FoldedPoint:
    """One folded network: what λ and a seed led to.

    Attributes:
        strength: λ.
        seed: Of all its training.
        alphas: α of each activation that could go, as trained.
        survivors: Activations that are left, those among them that could not go in any case.
        depth: Layers on the longest way through the folded network.
        macs: Of the folded network, for one sample.
        scores: `linear_accuracy` on validation before folding; after the second fine-tune `accuracy` and
            `accuracy_drop` on validation, `test_accuracy` and `test_drop`; of the same architecture from scratch
            `scratch_accuracy` and `scratch_test_accuracy`. Empty where the training failed.
        seconds: Wall time.
        reason: Why there are no scores.
    """

    strength: float
    seed: int
    alphas: Mapping[str, float] = field(default_factory=dict)
    survivors: tuple[str, ...] = ()
    depth: int = 0
    macs: int = 0
    scores: Mapping[str, Score] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""

    @property
    def n_activations(self) -> int:
        """Activations that are left."""
        return len(self.survivors)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        scores = {name: score.to_json() for name, score in self.scores.items()}
        return {**facts, "alphas": dict(self.alphas), "survivors": list(self.survivors), "scores": scores}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FoldedPoint:
        """The inverse of `to_json`."""
        scores = {name: Score.from_json(score) for name, score in data["scores"].items()}
        return cls(**{**data, "survivors": tuple(data["survivors"]), "scores": scores})


@dataclass(frozen=True, slots=True)
class Unfolded:
    """The network before folding, given the same training as the folded ones of a seed; or as it came, if better.

    Attributes:
        seed: Of the training.
        accuracy: On validation.
        test_accuracy: On test.
        samples: Score of every validation sample, between 0 and 1.
        test_samples: Of every test sample.
    """

    seed: int
    accuracy: Score
    test_accuracy: Score
    samples: tuple[float, ...]
    test_samples: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "seed": self.seed,
            "accuracy": self.accuracy.to_json(),
            "test_accuracy": self.test_accuracy.to_json(),
            "samples": list(self.samples),
            "test_samples": list(self.test_samples),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Unfolded:
        """The inverse of `to_json`."""
        return cls(
            data["seed"],
            Score.from_json(data["accuracy"]),
            Score.from_json(data["test_accuracy"]),
            tuple(data["samples"]),
            tuple(data["test_samples"]),
        )
