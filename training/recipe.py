"""How a network is trained, as a value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ..hardware_profiles.errors import TrainingError, unknown_name

OPTIMISERS = ("sgd", "adamw")
SCHEDULES = ("one-cycle", "cosine", "constant", "snapshots")
PRECISIONS = ("fp32", "bf16")
FREEZEOUTS = ("off", "linear", "squared", "cubic")
_SHARES = ("warmup", "distillation_weight", "linearisation", "quantization_share", "momentum", "freezeout_start")
_KNOWN = {"optimiser": OPTIMISERS, "schedule": SCHEDULES, "precision": PRECISIONS, "freezeout": FREEZEOUTS}


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """How long, how fast and towards what a network is trained.

    Attributes:
        n_samples: Training samples shown in all (the same sample counts each time it is shown); 0 where `n_epochs` says
            it.
        learning_rate: Peak of the schedule.
        batch_size: Samples per step.
        n_epochs: Passes through the training split, instead of `n_samples`; fractions are allowed.
        optimiser: `sgd` (Nesterov momentum) or `adamw` (`momentum` is its first beta).
        momentum: 0 for none.
        weight_decay: On all parameters.
        schedule: `one-cycle`, `cosine` (no warm-up), `constant`, or `snapshots` (as many cosines as `n_cycles`).
        warmup: Share of the steps during which the one-cycle's rate rises.
        n_cycles: Cosines of the `snapshots` schedule.
        precision: `fp32`, or `bf16` for mixed precision where the device has it.
        distillation_weight: Share of the loss that follows the teacher; 0 trains without one.
        temperature: Softens teacher and student alike.
        linearisation: Share of the steps over which folded activations become linear.
        quantization_share: Share of the steps, the last, that layers to be quantised take with rounded weights and
            values; 0 for none, and for rounding after training.
        max_gradient_norm: Gradients are clipped to this norm: what keeps a network alive while its activations go.
        freezeout: How the times grow at which layers freeze, from the first layer to the last, or `off`: for fine-tunes
            that only rank candidates.
        freezeout_start: When the first layer freezes, as a share of the steps, before it is squared or cubed.
        is_freezeout_scaled: Whether a layer's rate is raised as its time is short.
    """

    n_samples: int = 0
    learning_rate: float = 0.05
    batch_size: int = 64
    n_epochs: float = 0.0
    optimiser: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["one-cycle", "cosine", "constant", "snapshots"] = "one-cycle"
    warmup: float = 0.2
    n_cycles: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    distillation_weight: float = 0.0
    temperature: float = 4.0
    linearisation: float = 0.5
    quantization_share: float = 0.0
    max_gradient_norm: float = 5.0
    freezeout: Literal["off", "linear", "squared", "cubic"] = "off"
    freezeout_start: float = 0.8
    is_freezeout_scaled: bool = True

    def __post_init__(self) -> None:
        for name, known in _KNOWN.items():
            if getattr(self, name) not in known:
                raise TrainingError(unknown_name(name, str(getattr(self, name)), known))
        if (self.n_samples > 0) == (self.n_epochs > 0):
            raise TrainingError(
                f"either n_samples or n_epochs must be above 0, got {self.n_samples} and {self.n_epochs:g}"
            )
        for name in ("batch_size", "n_cycles"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "temperature", "max_gradient_norm", "freezeout_start"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("weight_decay", "n_samples", "n_epochs"):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.freezeout != "off" and self.schedule == "snapshots":
            raise TrainingError(
                "freezeout needs a schedule of one fall, got 'snapshots', whose rate rises again: choose one of the two"
            )

    def n_steps(self, n_train: int) -> int:
        """Optimiser steps on a split of so many samples, at least one."""
        n_samples = self.n_samples or round(self.n_epochs * n_train)
        return max(1, n_samples // min(self.batch_size, n_train))

    def to_json(self) -> dict[str, Any]:
        """Plain data, for keys and records."""
        return dataclasses.asdict(self)
