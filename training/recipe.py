"""How a network is trained, as a value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..hardware_profiles.errors import TrainingError


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Stochastic gradient descent with Nesterov momentum under a one-cycle schedule.

    Attributes:
        n_samples: Training samples shown in all (the same sample counts each time it is shown).
        learning_rate: Peak of the schedule.
        batch_size: Samples per step.
        momentum: Nesterov momentum; 0 for none.
        weight_decay: On all parameters.
        warmup: Share of the steps during which the rate rises.
        distillation_weight: Share of the loss that follows the teacher; 0 trains without one.
        temperature: Softens teacher and student alike.
        linearisation: Share of the steps over which folded activations become linear.
        max_gradient_norm: Gradients are clipped to this norm: what keeps a network alive while its activations go.
    """

    n_samples: int
    learning_rate: float
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.2
    distillation_weight: float = 0.0
    temperature: float = 4.0
    linearisation: float = 0.5
    max_gradient_norm: float = 5.0

    def __post_init__(self) -> None:
        for name in ("n_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "temperature", "max_gradient_norm"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} must be above 0, got {getattr(self, name)}")
        if not self.weight_decay >= 0:
            raise TrainingError(f"weight_decay must be at least 0, got {self.weight_decay}")
        for name in ("warmup", "distillation_weight", "linearisation", "momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    @property
    def n_steps(self) -> int:
        """Optimiser steps, at least one."""
        return max(1, self.n_samples // self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for keys and records."""
        return dataclasses.asdict(self)
