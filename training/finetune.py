"""Trains a module under a recipe. Knows no task: data, loss and teacher are arguments."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TrainingError
from .checkpoint import Checkpoint
from .distillation import Distance, channels_last, check_teacher, soft_target_loss
from .freezeout import FreezeOut
from .hooks import Hook, Run
from .linearisation import Linearisation
from .optimisers import build_optimiser, set_rate
from .recipe import TrainingRecipe
from .schedules import rate
from .split import Batch, Split

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) → scalar."""
OnStep: TypeAlias = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""(inputs of a batch, source of all randomness) → inputs of the same shape."""

DIVERGED = 100.0
"""A training has diverged where its smoothed loss is so many times the first one, or so much where that was below 1."""
_SMOOTHING = 0.9


@dataclass(frozen=True, slots=True)
class Teacher:
    """What a network learns from beside the targets.

    Attributes:
        outputs: Its answers on the training split, shape (n, ...).
        distance: How far the student's outputs are from them; softened cross-entropy of classes where it is None.
    """

    outputs: Tensor
    distance: Distance | None = None


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
    teacher: Teacher | None = None,
    hooks: Sequence[Hook] = (),
    on_step: OnStep | None = None,
    augment: Augment | None = None,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
) -> Trained:
    """Trains a module in place and leaves it in evaluation mode; folded activations end linear, their layers merged.

    Args:
        module: A network or what `prepare` made of it.
        train: Training data.
        recipe: Steps, rate, distillation.
        loss: The task's loss.
        seed: Orders the batches; the same seed gives the same result on one machine and thread count.
        teacher: What it learns from beside the targets, by the recipe's `distillation_weight`.
        hooks: What joins in, in this order, after what the recipe says itself: the linearisation of folded activations
            and FreezeOut.
        on_step: Progress.
        augment: Changes the inputs of each batch. Not together with a teacher, whose answers are those to the samples
            as they are.
        checkpoint: Written from time to time; a training that was killed goes on from it, to the same result.
        device: Where it is trained; it comes back to the processor.

    Raises:
        TrainingError: The loss or its gradient is not finite, the loss runs away, the teacher answers something else,
            or memory does not suffice.
    """
    started = time.perf_counter()
    torch.manual_seed(seed)
    if teacher is not None:
        check_teacher(teacher.outputs, len(train))
    module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.train()
    run = Run(module, recipe, recipe.n_steps(len(train)), build_optimiser(module, recipe))
    joined = (*_own_hooks(recipe), *hooks)
    objective = _Objective(recipe, loss, teacher, device)
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for hook in joined:
        hook.start(run)
    first = _restore(run, joined, checkpoint, generator, losses)
    for step, batch in enumerate(train.shuffled_batches(recipe.batch_size, run.n_steps, seed)):
        if step < first:
            continue
        run.step = step
        inputs = batch.inputs if augment is None else augment(batch.inputs, generator)
        with _told(step, recipe):
            losses.append(_take_step(run, joined, objective, batch, channels_last(inputs)))
        _check_convergence(losses)
        if on_step is not None:
            on_step(step + 1, run.n_steps)
        if checkpoint is not None and checkpoint.is_due():
            checkpoint.save(_state(run, joined, generator, losses))
    for hook in joined:
        hook.end(run)
    module.to("cpu").eval()
    if checkpoint is not None:
        checkpoint.remove()
    tail = losses[-max(1, len(losses) // 10) :]
    return Trained(time.perf_counter() - started, run.n_steps, sum(tail) / len(tail))


def _own_hooks(recipe: TrainingRecipe) -> tuple[Hook, ...]:
    """What joins in because the recipe says so."""
    return (Linearisation(),) if recipe.freezeout == "off" else (Linearisation(), FreezeOut())


class _Objective:
    """The loss of a batch: the task's, mixed with the distance to the teacher."""

    def __init__(self, recipe: TrainingRecipe, loss: Loss, teacher: Teacher | None, device: str) -> None:
        self._recipe, self._loss, self._device = recipe, loss, device
        self._teacher = teacher if teacher is not None and recipe.distillation_weight > 0 else None
        kind = torch.device(device).type
        self.autocast = torch.autocast(kind, torch.bfloat16, enabled=recipe.precision == "bf16")

    def __call__(self, module: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        with self.autocast:
            outputs = module(inputs.to(self._device))
        outputs = outputs.float() if outputs.is_floating_point() else outputs
        plain = self._loss(outputs, batch.targets.to(self._device))
        if self._teacher is None:
            return plain
        answers = self._teacher.outputs[batch.indices].to(self._device)
        if answers.shape != outputs.shape:
            raise TrainingError(
                f"a teacher's outputs must have the student's shape {tuple(outputs.shape[1:])} per sample, got "
                f"{tuple(answers.shape[1:])}: use a teacher of the same task"
            )
        weight, distance = self._recipe.distillation_weight, self._teacher.distance
        soft = (
            soft_target_loss(outputs, answers, self._recipe.temperature)
            if distance is None
            else distance(outputs, answers)
        )
        return (1 - weight) * plain + weight * soft


def _take_step(run: Run, hooks: Sequence[Hook], objective: _Objective, batch: Batch, inputs: Tensor) -> float:
    """One step; gives its loss."""
    for hook in hooks:
        hook.before_step(run)
    set_rate(run.optimiser, run.recipe.learning_rate * rate(run.progress, run.recipe))
    value = objective(run.module, inputs, batch)
    for added in [hook.added_loss(run, batch) for hook in hooks]:
        value = value if added is None else value + added
    number = _finite("loss", float(value.detach()), run.step)
    run.optimiser.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    # Checked too, because after the last step there is no loss that would show it.
    norm = nn.utils.clip_grad_norm_(run.module.parameters(), run.recipe.max_gradient_norm)
    _finite("gradient", float(norm), run.step)
    run.optimiser.step()
    for hook in hooks:
        hook.after_step(run)
    return number


def _finite(what: str, value: float, step: int) -> float:
    if not math.isfinite(value):
        remedy = "check the data, the loss and the weights it starts from" if step == 0 else "lower the learning rate"
        raise TrainingError(f"the {what} must stay finite, got {value} at step {step}: {remedy}")
    return value


def _check_convergence(losses: Sequence[float]) -> None:
    """Looks at the last few losses, smoothed, so that one bad batch ends nothing."""
    if len(losses) < 10:
        return
    smoothed = losses[-10]
    for value in losses[-9:]:
        smoothed = _SMOOTHING * smoothed + (1 - _SMOOTHING) * value
    if smoothed > DIVERGED * max(1.0, abs(losses[0])):
        raise TrainingError(
            f"the loss must not run away, got {smoothed:.3g} after {losses[0]:.3g} at the start: "
            "lower the learning rate"
        )


@contextmanager
def _told(step: int, recipe: TrainingRecipe) -> Iterator[None]:
    """Says in one line where memory does not suffice."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_large(step, recipe) from error
    except RuntimeError as error:
        if "not enough memory" in str(error):  # what the processor's allocator says
            raise _too_large(step, recipe) from error
        raise


def _too_large(step: int, recipe: TrainingRecipe) -> TrainingError:
    return TrainingError(
        f"a step must fit into memory, but step {step} with batch_size {recipe.batch_size} does not: lower batch_size"
    )


def _state(run: Run, hooks: Sequence[Hook], generator: torch.Generator, losses: list[float]) -> dict[str, object]:
    return {
        "step": run.step + 1,
        "module": run.module.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "hooks": [hook.state() for hook in hooks],
        "random": (torch.get_rng_state(), generator.get_state()),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "losses": losses,
    }


def _restore(
    run: Run, hooks: Sequence[Hook], checkpoint: Checkpoint | None, generator: torch.Generator, losses: list[float]
) -> int:
    """Goes back to where a killed training stood; gives the first step to take."""
    state = checkpoint.load() if checkpoint is not None else None
    if state is None:
        return 0
    # What hooks have done to the structure by then, they do again.
    run.step = state["step"] - 1
    for hook, kept in zip(hooks, state["hooks"], strict=True):
        hook.load_state(kept)
    for hook in hooks:
        hook.before_step(run)
    run.module.load_state_dict(state["module"])
    run.optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"][0])
    generator.set_state(state["random"][1])
    if state["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random_cuda"])
    losses += state["losses"]
    return int(state["step"])
