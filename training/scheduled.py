"""Runs a compression schedule: stage after stage, and what is done to a layer is kept up by all that come later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..packing import CodedWeight, pack
from .checkpoint import Checkpoint
from .finetune import Loss, OnStep, Teacher, finetune
from .layer_rows import matrix_layers
from .masks import apply_masks, overall_density
from .recipe import TrainingRecipe
from .schedule import Schedule, Stage
from .schedule_hooks import StageHooks, check_stages, round_masks, stage_rates
from .schedule_state import ScheduleState, StageReport
from .split import Split

FULL_BITS = 32


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a schedule trains with.

    Attributes:
        train: Training data.
        loss: The task's.
        accuracy: (module in evaluation mode) → a score to report, for instance percent of the validation split.
        teacher: For recipes that distil.
        device: Where it is trained.
        on_step: Progress over all stages.
    """

    train: Split
    loss: Loss
    accuracy: Callable[[nn.Module], float]
    teacher: Teacher | None = None
    device: str = "cpu"
    on_step: OnStep | None = None


class ScheduledTraining:
    """One run of a schedule on one network, which is changed in place."""

    def __init__(
        self,
        module: nn.Module,
        schedule: Schedule,
        recipes: Sequence[TrainingRecipe],
        trainer: Trainer,
        *,
        folder: Path | None = None,
        key: str = "",
    ) -> None:
        """Checks every stage; trains nothing yet.

        Args:
            module: A network or what `prepare` made of it.
            schedule: The stages.
            recipes: Of each stage, see `stage_recipes`.
            trainer: Data, loss and score.
            folder: Where its state is kept, so that a killed run goes on; None for nowhere.
            key: What the run depends on: a state with another key is ignored, and overwritten.

        Raises:
            TrainingError: A pattern matches no layer, or stages exclude each other.
        """
        check_stages(schedule, list(matrix_layers(module)))
        self._module, self._schedule, self._recipes, self._trainer = module, schedule, recipes, trainer
        self._folder, self._key = folder, key
        self._state = ScheduleState()
        steps = [recipe.n_steps(len(trainer.train)) for recipe in recipes]
        self._steps = [n for stage, n in zip(schedule.stages, steps, strict=True) for _ in range(stage.n_rounds)]

    @property
    def weights(self) -> Mapping[str, CodedWeight]:
        """What is stored of weights in few bits, by layer: the module's are what they decode to."""
        return self._state.weights

    def run(self) -> Iterator[StageReport]:
        """Trains; gives each stage's report as it ends, at once those that a killed run has made.

        Raises:
            TrainingError: A training fails.
        """
        checkpoint = self._checkpoint("schedule", self._key)
        plain = checkpoint.load() if checkpoint is not None else None
        if plain is not None:
            self._state = ScheduleState.from_plain(plain, self._module)
        n_rounds = 0
        for i, (stage, recipe) in enumerate(zip(self._schedule.stages, self._recipes, strict=True)):
            for each in range(stage.n_rounds):
                if n_rounds >= self._state.n_rounds:
                    self._run_round(stage, recipe, each)
                    if each == stage.n_rounds - 1:
                        self._state.reports.append(self._report(stage))
                    if checkpoint is not None:
                        checkpoint.save(self._state.to_plain(self._module))
                n_rounds += 1
            yield self._state.reports[i]

    def forget(self) -> None:
        """Removes the state from the folder, once what came of it is kept."""
        if (checkpoint := self._checkpoint("schedule", self._key)) is not None:
            checkpoint.remove()

    def _run_round(self, stage: Stage, recipe: TrainingRecipe, i: int) -> None:
        state, trainer = self._state, self._trainer
        rates = stage_rates(stage, list(matrix_layers(self._module)))
        if stage.prune is not None:
            state.masks |= round_masks(self._module, stage.prune, rates, i, state.masks)
            apply_masks(self._module, state.masks)
        joined = StageHooks(stage, rates, state.masks, state.codes)
        finetune(
            self._module,
            trainer.train,
            recipe,
            trainer.loss,
            seed=self._schedule.seed,
            teacher=trainer.teacher if recipe.distillation_weight > 0 else None,
            hooks=joined.hooks,
            on_step=self._on_step(trainer.on_step),
            checkpoint=self._checkpoint("round", f"{self._key} {state.n_rounds}"),
            device=trainer.device,
        )
        state.masks |= joined.masks()
        state.codes, state.weights = joined.codes, joined.weights()
        state.n_rounds += 1

    def _on_step(self, tell: OnStep | None) -> OnStep | None:
        """Adds the steps of the trainings before."""
        before, total = sum(self._steps[: self._state.n_rounds]), sum(self._steps)
        return None if tell is None else lambda step, _: tell(before + step, total)

    def _checkpoint(self, name: str, key: str) -> Checkpoint | None:
        return None if self._folder is None else Checkpoint(self._folder / f"{name}.checkpoint", key)

    def _report(self, stage: Stage) -> StageReport:
        state = self._state
        kept = {name: layer.weight.detach() != 0 for name, layer in matrix_layers(self._module).items()}
        n_kept = {name: int(mask.sum()) for name, mask in kept.items()}
        bits = {name: state.codes[name].bits if name in state.codes else FULL_BITS for name in kept}
        tensors = {f"{name}.weight": coded for name, coded in state.weights.items()}
        return StageReport(
            name=stage.name,
            does=stage.does,
            accuracy=self._trainer.accuracy(self._module.eval()),
            kept_share=overall_density(kept),
            bits=sum(n * bits[name] for name, n in n_kept.items()) / max(1, sum(n_kept.values())),
            size_bytes=len(pack({**self._module.state_dict(), **tensors}, {})),
        )
