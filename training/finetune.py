"""Trains a module under a recipe. Knows no task: data, loss and teacher are arguments."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import TrainingError
from ..spaces.fold import merge_linear_segments
from ..spaces.linearise import set_linearity
from .distillation import channels_last, soft_target_loss
from .recipe import TrainingRecipe
from .schedules import linearity, one_cycle
from .split import Batch, Split

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) → scalar."""
OnStep: TypeAlias = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""(inputs of a batch, source of all randomness) → inputs of the same shape."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training took.

    Attributes:
        seconds: Wall time.
        n_steps: Optimiser steps.
        final_loss: Mean loss over the last tenth of the steps.
    """

    seconds: float
    n_steps: int
    final_loss: float


def finetune(
    module: nn.Module,
    train: Split,
    recipe: TrainingRecipe,
    loss: Loss,
    *,
    seed: int,
    teacher_outputs: Tensor | None = None,
    on_step: OnStep | None = None,
    augment: Augment | None = None,
) -> Trained:
    """Trains a module in place and leaves it in evaluation mode; folded activations end linear, their layers merged.

    Args:
        module: A network or what `prepare` made of it.
        train: Training data.
        recipe: Steps, rate, distillation.
        loss: The task's loss.
        seed: Orders the batches; the same seed gives the same result on one machine and thread count.
        teacher_outputs: The uncompressed network's outputs on `train`, shape (n, ...), for distillation.
        on_step: Progress.
        augment: Changes the inputs of each batch. Not together with teacher outputs, which are those of the samples as
            they are.

    Raises:
        TrainingError: The loss or its gradient is not finite.
    """
    started = time.perf_counter()
    torch.manual_seed(seed)
    module.to(memory_format=torch.channels_last)
    module.train()
    optimiser = _optimiser(module, recipe)
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for step, batch in enumerate(train.shuffled_batches(recipe.batch_size, recipe.n_steps, seed)):
        progress = step / recipe.n_steps
        optimiser.param_groups[0]["lr"] = recipe.learning_rate * one_cycle(progress, recipe.warmup)
        alpha = linearity(progress, recipe.linearisation)
        set_linearity(module, alpha)
        if alpha == 1 and isinstance(module, fx.GraphModule) and merge_linear_segments(module):
            optimiser = _optimiser(module, recipe, before=optimiser)
            optimiser.param_groups[0]["lr"] = recipe.learning_rate * one_cycle(progress, recipe.warmup)
        inputs = batch.inputs if augment is None else augment(batch.inputs, generator)
        value = _loss(module(channels_last(inputs)), batch, recipe, loss, teacher_outputs)
        losses.append(_finite("loss", float(value.detach()), step))
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        # Checked too, because after the last step there is no loss that would show it.
        _finite("gradient", float(nn.utils.clip_grad_norm_(module.parameters(), recipe.max_gradient_norm)), step)
        optimiser.step()
        if on_step is not None:
            on_step(step + 1, recipe.n_steps)
    set_linearity(module, 1.0)
    module.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return Trained(time.perf_counter() - started, recipe.n_steps, sum(tail) / len(tail))


def _optimiser(
    module: nn.Module, recipe: TrainingRecipe, before: torch.optim.Optimizer | None = None
) -> torch.optim.Optimizer:
    """The optimiser of a recipe; parameters that an earlier one trained keep their momentum."""
    optimiser = torch.optim.SGD(
        module.parameters(),
        recipe.learning_rate,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
    if before is not None:
        kept = [parameter for parameter in module.parameters() if parameter in before.state]
        optimiser.state.update({parameter: before.state[parameter] for parameter in kept})
    return optimiser


def _loss(outputs: Tensor, batch: Batch, recipe: TrainingRecipe, loss: Loss, teacher_outputs: Tensor | None) -> Tensor:
    plain = loss(outputs, batch.targets)
    weight = recipe.distillation_weight
    if teacher_outputs is None or weight == 0:
        return plain
    soft = soft_target_loss(outputs, teacher_outputs[batch.indices], recipe.temperature)
    return (1 - weight) * plain + weight * soft


def _finite(what: str, value: float, step: int) -> float:
    if not math.isfinite(value):
        raise TrainingError(f"the {what} must stay finite, got {value} at step {step}: lower the learning rate")
    return value
