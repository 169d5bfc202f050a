"""What joins in while a network is trained: masks, frozen layers, activations that turn linear, rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..spaces.linearise import is_linearising
from .optimisers import build_optimiser
from .recipe import TrainingRecipe
from .schedules import linearity
from .split import Batch


@dataclass(slots=True)
class Run:
    """A training under way, as hooks see it.

    Attributes:
        module: What is trained.
        recipe: How.
        n_steps: Steps in all.
        optimiser: Its groups may be changed; see `rebuild_optimiser`.
        step: The step under way, from 0.
    """

    module: nn.Module
    recipe: TrainingRecipe
    n_steps: int
    optimiser: torch.optim.Optimizer
    step: int = 0

    @property
    def progress(self) -> float:
        """Share of the steps taken, between 0 and 1."""
        return self.step / self.n_steps

    @property
    def is_merged(self) -> bool:
        """Whether no folded activation is left to become linear: then layers stay the layers that they are."""
        return linearity(self.progress, self.recipe.linearisation) == 1 or not is_linearising(self.module)

    def is_in_last(self, share: float) -> bool:
        """Whether the step belongs to the last share of all steps, of which at least one does."""
        return self.step >= self.n_steps - max(1, round(share * self.n_steps))

    def rebuild_optimiser(self) -> None:
        """To be called after parameters came or went, or need a gradient no more; the others keep their momentum."""
        self.optimiser = build_optimiser(self.module, self.recipe, before=self.optimiser)


class Hook:
    """Does nothing; subclasses do something at some of these points."""

    def start(self, run: Run) -> None:
        """Before the first step."""

    def before_step(self, run: Run) -> None:
        """Before the forward pass of a step; may change the module and the optimiser."""

    def added_loss(self, run: Run, batch: Batch) -> Tensor | None:
        """After the forward pass: a scalar to add to the loss."""

    def after_step(self, run: Run) -> None:
        """After the optimiser's step."""

    def end(self, run: Run) -> None:
        """After the last step, before the module goes to evaluation mode."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, as tensors and plain data; what follows from the step alone is not needed."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` gave; between `start` and the `before_step` of the step that the checkpoint ended with."""
