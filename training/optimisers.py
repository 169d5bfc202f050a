"""The optimiser of a recipe, and how it outlives changes of the network."""

from __future__ import annotations

import torch
from torch import nn

from .recipe import TrainingRecipe


def build_optimiser(
    module: nn.Module, recipe: TrainingRecipe, before: torch.optim.Optimizer | None = None
) -> torch.optim.Optimizer:
    """The optimiser of a recipe over all parameters that need a gradient.

    Args:
        module: What is trained.
        recipe: Names the optimiser.
        before: An earlier one: parameters that it trained keep their momentum and the factor of their group.

    Returns:
        The optimiser; each group has a "factor" on the schedule's rate. There is one group, of factor 1, unless a hook
        divided those of `before` (steps over few large groups are the quickest).
    """
    factors: dict[nn.Parameter, float] = {}
    for group in before.param_groups if before is not None else ():
        factors |= dict.fromkeys(group["params"], group["factor"])
    members: dict[float, list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            members.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    groups = [{"params": parameters, "factor": factor} for factor, parameters in members.items()]
    optimiser: torch.optim.Optimizer
    if recipe.optimiser == "adamw":
        optimiser = torch.optim.AdamW(
            groups, recipe.learning_rate, betas=(recipe.momentum, 0.999), weight_decay=recipe.weight_decay
        )
    else:
        optimiser = torch.optim.SGD(
            groups,
            recipe.learning_rate,
            recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )
    if before is not None:
        kept = [parameter for parameter in module.parameters() if parameter in before.state]
        optimiser.state.update({parameter: before.state[parameter] for parameter in kept})
    return optimiser


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of every group, each by its own factor."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]
