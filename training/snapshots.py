"""Snapshot ensembles: one training whose rate falls several times gives as many networks.

Source: Huang et al. 2017, "Snapshot Ensembles: Train 1, Get M for Free".
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import TrainingError
from ..spaces.linearise import is_linearising
from .distillation import ensemble_logits, predict
from .hooks import Hook, Run
from .schedules import linearity
from .split import Split

State: TypeAlias = dict[str, Tensor]
"""Parameters and buffers by name."""


class Snapshots(Hook):
    """Keeps the weights at the end of each cycle of the `snapshots` schedule.

    Attributes:
        states: Of the cycles that ended, on the processor. All are of the structure that the training ends with, so
            each is a candidate: load it into the trained module or a copy of it.
    """

    def __init__(self) -> None:
        self.states: list[State] = []

    def start(self, run: Run) -> None:
        """Checks that every cycle ends with a network of its own.

        Raises:
            TrainingError: The schedule has no cycles, there are fewer steps than cycles, or folded activations are not
                linear by the end of the first cycle.
        """
        recipe = run.recipe
        if recipe.schedule != "snapshots":
            raise TrainingError(f"snapshots need schedule 'snapshots', got {recipe.schedule!r}: set it, and n_cycles")
        if run.n_steps < recipe.n_cycles:
            raise TrainingError(
                f"each of the {recipe.n_cycles} cycles needs a step, got {run.n_steps} in all: lower n_cycles"
            )
        first_end = -(-run.n_steps // recipe.n_cycles) - 1
        is_folding = is_linearising(run.module)
        if is_folding and linearity(first_end / run.n_steps, recipe.linearisation) < 1:
            raise TrainingError(
                f"folded activations must be linear before the first of {recipe.n_cycles} cycles ends, got "
                f"linearisation {recipe.linearisation:g}: lower it or n_cycles"
            )

    def after_step(self, run: Run) -> None:
        """Keeps the weights where a cycle ended with this step."""
        n_cycles = run.recipe.n_cycles
        if (run.step + 1) * n_cycles // run.n_steps > run.step * n_cycles // run.n_steps:
            # A copy even where it lies on the processor: the next step writes to the same memory.
            self.states.append({name: value.detach().cpu().clone() for name, value in run.module.state_dict().items()})

    def state(self) -> dict[str, Any]:
        """The weights kept so far."""
        return {"states": self.states}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Hook`."""
        self.states = list(state["states"])


def snapshot_networks(module: nn.Module, states: Sequence[Mapping[str, Tensor]]) -> list[nn.Module]:
    """The networks of a training's snapshots, in evaluation mode.

    Args:
        module: The trained module; not touched.
        states: Of its snapshots.
    """
    networks = [copy.deepcopy(module).eval() for _ in states]
    for network, state in zip(networks, states, strict=True):
        network.load_state_dict(state)
    return networks


def ensemble_outputs(networks: Sequence[nn.Module], split: Split) -> Tensor:
    """What several networks answer together: logits for every sample of a split, shape (n, classes).

    `Teacher(ensemble_outputs(snapshot_networks(module, hook.states), train))` is a teacher for `finetune`.

    Raises:
        TrainingError: There are none, or their shapes differ.
    """
    with torch.no_grad():
        return ensemble_logits([predict(network, split) for network in networks])
