"""Learns which activations a network can do without: layer folding as a method of its own (METHODS section 6).

Every activation that could go becomes `alpha * x + (1 - alpha) * activation(x)` with a trained `alpha` of its own, and
the loss gains `strength * sum |1 - alpha^2|`. Source: Ben Dror et al. 2022, "Layer Folding".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TrainingError
from ..spaces.network import replace_module
from .hooks import Hook, Run
from .recipe import TrainingRecipe
from .schedules import rate
from .split import Batch

THRESHOLD = 0.9
"""An activation whose α has reached it is taken to be linear (Ben Dror et al. 2022)."""


PUBLISHED_PUSH = 0.25 * 100 * 391 * 1e-3 / (1 - 0.9)
"""λ times the sum of all learning rates, momentum included, in the published training on CIFAR: λ 0.25, 100 epochs of
391 steps at 1e-3, momentum 0.9."""


class LearnedLinearity(nn.Module):
    """`alpha * x + (1 - alpha) * activation(x)` with a parameter alpha: the activation at 0, the identity at 1."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        own: Any = copy.deepcopy(activation)  # nn.Module does not say that many have `inplace`
        if hasattr(own, "inplace"):
            own.inplace = False  # it would overwrite the x of `alpha * x`
        self.activation: nn.Module = own
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        curved = self.activation(x)
        mixed: Tensor = curved + self.alpha * (x - curved)
        return mixed


class LinearityPenalty(Hook):
    """Pulls every learned α towards 1, by `strength * sum |1 - alpha^2|`, and keeps it between 0 and 1.

    The authors clip at 0 only. In our shorter trainings, at higher rates, α would shoot far beyond 1, where nothing is
    won: an α of 1 is as linear as it gets.
    """

    def __init__(self, strength: float) -> None:
        """Takes the weight λ of the penalty.

        Raises:
            TrainingError: It is below 0, which would push activations away from linear, or no number.
        """
        if not 0 <= strength < float("inf"):
            raise TrainingError(f"the strength λ of linearisation must be a number of at least 0, got {strength:g}")
        self._strength = strength
        self._alphas: list[Tensor] = []

    def start(self, run: Run) -> None:
        """Finds the activations."""
        self._alphas = [each.alpha for each in learned_activations(run.module).values()]

    def added_loss(self, run: Run, batch: Batch) -> Tensor | None:
        """The penalty of all α."""
        return self._strength * (1 - torch.stack(self._alphas).square()).abs().sum() if self._alphas else None

    def after_step(self, run: Run) -> None:
        """Clips α."""
        with torch.no_grad():
            for alpha in self._alphas:
                alpha.clamp_(0.0, 1.0)


def published_strength(recipe: TrainingRecipe, n_train: int) -> float:
    """The λ that pushes α in a training as far as the published 0.25 does in its 100 epochs, to two digits.

    At α near 0 the penalty's gradient is -2λα, so that α grows by a factor that depends on λ times the sum of the
    rates: what is trained for a hundredth of the time needs a hundred times the λ.

    Args:
        recipe: Of the training, with SGD; for other optimisers it is a guess.
        n_train: Samples of the training split.
    """
    n_steps = recipe.n_steps(n_train)
    rates = sum(rate(step / n_steps, recipe) for step in range(n_steps)) * recipe.learning_rate
    return float(f"{PUBLISHED_PUSH * (1 - recipe.momentum) / rates:.2g}")


def learned_activations(module: nn.Module) -> dict[str, LearnedLinearity]:
    """The activations with an α of their own, by name."""
    return {name: each for name, each in module.named_modules() if isinstance(each, LearnedLinearity)}


def learn_linearity(module: nn.Module, names: Iterable[str]) -> None:
    """Gives activations an α to be trained, in place; at its start, 0, nothing changes."""
    for name in names:
        replace_module(module, name, LearnedLinearity(module.get_submodule(name)))


def settle_linearity(module: nn.Module, threshold: float = THRESHOLD) -> dict[str, float]:
    """Ends the learning of α, in place: from the threshold on it becomes 1, and the others stay as trained, fixed.

    That the others keep their slope is what the authors' own program does: they are no worse for it, and cost the same.

    Returns:
        Every α as it was trained, by the activation's name.
    """
    alphas = {}
    for name, activation in learned_activations(module).items():
        alphas[name] = float(activation.alpha.detach())
        activation.alpha.requires_grad_(False)
        if alphas[name] >= threshold:
            activation.alpha.fill_(1.0)
    return alphas


def linear_names(alphas: Mapping[str, float], threshold: float = THRESHOLD) -> frozenset[str]:
    """The activations whose trained α says that they are not needed."""
    return frozenset(name for name, alpha in alphas.items() if alpha >= threshold)


def restore_activations(module: nn.Module, names: Iterable[str]) -> None:
    """Puts activations back as they were before `learn_linearity`, in place: what folds has to look like one."""
    for name in names:
        learned = module.get_submodule(name)
        assert isinstance(learned, LearnedLinearity)
        replace_module(module, name, learned.activation)


def forget_linearity(module: nn.Module) -> None:
    """Sets every α that is left to 0, in place: plain activations, for a training from scratch."""
    for activation in learned_activations(module).values():
        activation.alpha.requires_grad_(False)
        activation.alpha.fill_(0.0)
