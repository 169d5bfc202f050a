"""What a sweep over the strength of linearisation found: folded networks, and how few activations are enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..spaces.fold_activations import FoldableActivations
from .effective_degree import EffectiveDegree
from .folded_point import FoldedPoint, SweepSettings, Unfolded


@dataclass(frozen=True, slots=True)
class Nonlinearity:
    """What a sweep found.

    Attributes:
        task: Name of the task.
        settings: How it was swept.
        foldable: Which activations could go.
        depth: Layers on the longest way through the unfolded network.
        macs: Of the unfolded network, for one sample.
        unfolded: The unfolded network, by seed.
        points: The folded networks, in the order of their training.
        degree: How few activations are enough.
        budget_strength: The λ that answers a budget; None without a budget, and where none was found.
    """

    task: str
    settings: SweepSettings
    foldable: FoldableActivations
    depth: int
    macs: int
    unfolded: tuple[Unfolded, ...]
    points: tuple[FoldedPoint, ...]
    degree: EffectiveDegree
    budget_strength: float | None = None

    def at_degree(self) -> list[FoldedPoint]:
        """Of each seed the most accurate folded network that has no more activations than the degree."""
        found = []
        for seed in self.degree.by_seed:
            fitting = [
                point
                for point in self.points
                if point.seed == seed and point.scores and point.n_activations <= self.degree.n_activations
            ]
            found += [max(fitting, key=lambda point: point.scores["accuracy"].value)] if fitting else []
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "task": self.task,
            "settings": asdict(self.settings),
            "n_activations": self.foldable.n_all,
            "foldable": list(self.foldable.names),
            "left_alone": [{"name": each.name, "reason": each.reason} for each in self.foldable.left_alone],
            "depth": self.depth,
            "macs": self.macs,
            "effective_degree": asdict(self.degree),
            "budget_strength": self.budget_strength,
            "unfolded": [
                {name: value for name, value in each.to_json().items() if not name.endswith("samples")}
                for each in self.unfolded
            ],
            "points": [{**each.to_json(), "n_activations": each.n_activations} for each in self.points],
        }
