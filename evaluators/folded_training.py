"""Trains one folded network: α is learned, what became linear is folded away, a second fine-tune makes up for it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from ..spaces import Network, reestimate_batch_norm
from ..spaces.fold import Fold
from ..spaces.fold_activations import FoldableActivations, depth, fold_activations
from ..tasks import Task, TaskData
from ..training import Hook, Split, Teacher, TrainingRecipe, finetune, predict
from ..training.nonlinearity import (
    LinearityPenalty,
    forget_linearity,
    learn_linearity,
    linear_names,
    restore_activations,
    settle_linearity,
)
from .accuracy import accuracy_score, drop_score, sample_scores
from .evaluator import Score
from .folded_point import FoldedPoint, SweepSettings, Unfolded
from .macs import count_macs

OnTraining = Callable[[str, int, int], None]
"""Called with (what is trained, steps of this training done, steps of it in all)."""
N_STATISTICS = 512
"""Training samples that BatchNorm is re-estimated on before the accuracy of a linearised network is read."""
N_TRAININGS = 2
"""Linearising, and the fine-tune after folding; the unfolded network gets as much."""


def limits(settings: SweepSettings) -> Fold:
    """Which merges a sweep allows: kernels of any width, as its subject is depth, but no exploding cost."""
    return Fold(max_kernel=sys.maxsize, max_growth=settings.max_growth)


class FoldedTraining:
    """Trains the networks of a sweep on one task."""

    def __init__(
        self,
        task: Task,
        data: TaskData,
        network: Network,
        foldable: FoldableActivations,
        settings: SweepSettings,
        on_training: OnTraining,
    ) -> None:
        """Takes what all trainings share.

        Args:
            task: Its recipes, loss and score are used.
            data: Its splits.
            network: The traced, trained baseline; not touched.
            foldable: The activations that could go.
            settings: How it is trained.
            on_training: Progress.
        """
        self._task, self._data, self._network, self._foldable = task, data, network, foldable
        self._settings, self._on_training = settings, on_training
        self.recipe = task.short_recipe if settings.training == "short" else task.full_recipe
        self.scratch_recipe = task.baseline_recipe or task.full_recipe
        self._teacher: Teacher | None = None

    @property
    def n_steps_unfolded(self) -> int:
        """Optimiser steps that `unfolded` takes."""
        return N_TRAININGS * self.recipe.n_steps(len(self._data.train))

    @property
    def n_steps_point(self) -> int:
        """Optimiser steps that `point` takes."""
        scratch = self.scratch_recipe.n_steps(len(self._data.train)) if self._settings.has_scratch else 0
        return self.n_steps_unfolded + scratch

    def unfolded(self, seed: int) -> Unfolded:
        """The unfolded network, as it came or with the same training as the folded ones: the better one."""
        module = copy.deepcopy(self._network.module)
        candidates = [self._samples(module, self._data.validation)]
        tests = [self._samples(module, self._data.test)]
        for _ in range(N_TRAININGS):
            self._train(module, self.recipe, seed, f"seed {seed}: the unfolded network")
        candidates.append(self._samples(module, self._data.validation))
        tests.append(self._samples(module, self._data.test))
        best = max(range(len(candidates)), key=lambda i: float(candidates[i].mean()))
        return Unfolded(
            seed,
            accuracy_score("accuracy", candidates[best], self._data.validation.origins),
            accuracy_score("test_accuracy", tests[best], self._data.test.origins),
            tuple(candidates[best].tolist()),
            tuple(tests[best].tolist()),
        )

    def point(self, strength: float, seed: int, unfolded: Unfolded) -> FoldedPoint:
        """One folded network, its drops against the unfolded one of the same seed.

        Raises:
            TrainingError: A training failed.
        """
        what = f"λ {strength:g}, seed {seed}"
        module = copy.deepcopy(self._network.module)
        learn_linearity(module, self._foldable.names)
        self._train(module, self.recipe, seed, f"{what}: linearising", [LinearityPenalty(strength)])
        alphas = settle_linearity(module, self._settings.threshold)
        reestimate_batch_norm(module, self._data.train.inputs[:N_STATISTICS])
        origins = self._data.validation.origins
        scores = [accuracy_score("linear_accuracy", self._samples(module, self._data.validation), origins)]
        linear = linear_names(alphas, self._settings.threshold)
        restore_activations(module, linear)
        folded = fold_activations(replace(self._network, module=module), linear, limits(self._settings))
        self._train(folded, self.recipe, seed, f"{what}: fine-tuning")
        scores += self._scores(folded, unfolded)
        if self._settings.has_scratch:
            scores += self._scratch_scores(folded, seed, f"{what}: from scratch")
        return FoldedPoint(
            strength,
            seed,
            alphas,
            tuple(name for name in _activation_names(self._foldable) if name not in linear),
            depth(folded),
            count_macs(folded, self._network.example_inputs),
            {score.name: score for score in scores},
        )

    def _scores(self, module: nn.Module, unfolded: Unfolded) -> list[Score]:
        validation, test = self._data.validation, self._data.test
        samples, test_samples = self._samples(module, validation), self._samples(module, test)
        return [
            accuracy_score("accuracy", samples, validation.origins),
            drop_score("accuracy_drop", samples, np.array(unfolded.samples), validation.origins),
            accuracy_score("test_accuracy", test_samples, test.origins),
            drop_score("test_drop", test_samples, np.array(unfolded.test_samples), test.origins),
        ]

    def _scratch_scores(self, folded: fx.GraphModule, seed: int, what: str) -> list[Score]:
        """The folded architecture with fresh weights, trained like a baseline."""
        module = copy.deepcopy(folded)
        forget_linearity(module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for each in module.modules():
                if callable(reset := getattr(each, "reset_parameters", None)):
                    reset()
        self._train(module, self.scratch_recipe, seed, what, is_from_scratch=True)
        validation, test = self._data.validation, self._data.test
        return [
            accuracy_score("scratch_accuracy", self._samples(module, validation), validation.origins),
            accuracy_score("scratch_test_accuracy", self._samples(module, test), test.origins),
        ]

    def _train(
        self,
        module: nn.Module,
        recipe: TrainingRecipe,
        seed: int,
        what: str,
        hooks: Sequence[Hook] = (),
        *,
        is_from_scratch: bool = False,
    ) -> None:
        finetune(
            module,
            self._data.train,
            recipe,
            self._task.loss,
            seed=seed,
            teacher=None if is_from_scratch else self._taught(recipe),
            hooks=hooks,
            on_step=lambda step, total: self._on_training(what, step, total),
            augment=self._task.augment if is_from_scratch else None,
        )

    def _taught(self, recipe: TrainingRecipe) -> Teacher | None:
        """The unfolded network's answers on the training split, asked once."""
        if recipe.distillation_weight == 0:
            return None
        if self._teacher is None:
            answers = predict(copy.deepcopy(self._network.module), self._data.train)
            self._teacher = Teacher(answers, self._task.distance)
        return self._teacher

    def _samples(self, module: nn.Module, split: Split) -> NDArray[np.float64]:
        return sample_scores(predict(module, split), split, self._task.score)


def _activation_names(foldable: FoldableActivations) -> list[str]:
    """All of them: those that could go, then the others."""
    return [*foldable.names, *(each.name for each in foldable.left_alone)]
