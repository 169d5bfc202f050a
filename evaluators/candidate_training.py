"""How a candidate is trained: what it starts from, who teaches it, and where a killed training goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.precision import TensorQuantization
from ..packing import StoredWeight
from ..spaces import Configuration, Network, SearchSpace, prepare
from ..spaces.compress import decisions_of
from ..spaces.encode import Stored
from ..spaces.factorize import Factorize
from ..spaces.quantize import decided_layers
from ..spaces.sparsify import Sparsify
from ..spaces.substitute import Substitute
from ..tasks import Task, digest
from ..training import (
    Checkpoint,
    Hook,
    KeepMasked,
    OnlySegment,
    OnStep,
    QuantizationAware,
    Split,
    StoredRounding,
    Teacher,
    TiedTraining,
    TrainingRecipe,
    WeightSharing,
    changed_layers,
    finetune,
    predict,
    reconstruct,
    training_device,
)
from .inheritance import Inheritance, Relatives, inherit, nearest

N_RECONSTRUCTION = 128
"""Training samples that layers with other operators, and of low rank, are fitted on before a fine-tune."""
REPLACING = (Substitute().name, Factorize().name)
"""Techniques that put several smaller layers in the place of one."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a training starts from.

    Attributes:
        module: In trainable form; trained in place.
        configuration: Of the candidate.
        parent: The candidate whose trained weights it took over; None where it starts from the uncompressed network.
        share: Of its entries that it took over.
        layers: Those that are trained, names in the original network; None trains everything.
    """

    module: fx.GraphModule
    configuration: Configuration
    parent: Configuration | None = None
    share: float = 0.0
    layers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class TrainedRounding:
    """What a training learned with rounding, for `finish`.

    Attributes:
        values: Quantisations of values by their names in the plan; empty where the recipe trains without.
        stored: Codes of weights by layer.
    """

    values: Mapping[str, TensorQuantization]
    stored: Stored


class CandidateTraining:
    """Trains the candidates of one task, all in the same way."""

    def __init__(
        self,
        task: Task,
        baseline: nn.Module,
        network: Network,
        space: SearchSpace,
        calibration: Tensor,
        folder: Path,
        seed: int,
        inheritance: Inheritance = Inheritance.NONE,
    ) -> None:
        """Nothing is read, written or trained yet.

        Args:
            task: Its loss, and its distance to a teacher.
            baseline: The uncompressed network, which teaches.
            network: The same, traced.
            space: What may be chosen in it.
            calibration: Training inputs that low-rank layers are fitted on, shape (n, ...).
            folder: Of checkpoints and of trained weights.
            seed: Of all trainings.
            inheritance: Whether a candidate with a parent trains only where it differs.
        """
        self._task, self._baseline, self._network, self._space = task, baseline, network, space
        self._calibration, self._folder, self._seed = calibration[:N_RECONSTRUCTION], folder, seed
        self._inheritance = inheritance
        self._relatives = Relatives(folder / "relatives")
        self._teacher: Teacher | None = None
        self._weights: str | None = None

    def start(self, configuration: Configuration, ended: Sequence[Configuration] = ()) -> Start:
        """A candidate as its training begins.

        Args:
            configuration: Canonical.
            ended: The configurations of ended trials, in that order, of which one may be its parent; with none it
                starts from the uncompressed network.
        """
        module = prepare(self._network, configuration)
        replaced = [layer for name in REPLACING for layer in decisions_of(configuration, name)]
        if replaced:
            module = reconstruct(module, self._network.module, replaced, self._calibration).module
        parent = nearest(self._space, configuration, self._relatives.eligible(ended))
        if parent is None:
            return Start(module, configuration)
        state = self._relatives.load(parent)
        share = inherit(module, self._network, self._space, configuration, parent, state)
        # The parent may have had weights where this candidate has none.
        Sparsify().prepare(module, decisions_of(configuration, Sparsify().name), self._network)
        is_segment = self._inheritance is Inheritance.SEGMENT
        layers = changed_layers(self._space, configuration, parent) if is_segment else None
        return Start(module, configuration, parent, share, layers)

    def train(
        self, start: Start, train: Split, recipe: TrainingRecipe, on_step: OnStep | None = None
    ) -> TrainedRounding:
        """Trains a candidate in place, where it was killed from where it was killed.

        Args:
            start: See `start`.
            train: Training data.
            recipe: The fine-tune.
            on_step: Progress.

        Returns:
            What was learned with rounding.
        """
        configuration = start.configuration
        rounding = QuantizationAware.of(configuration) if recipe.quantization_share > 0 else None
        masks = removed_weights(start.module, configuration)
        coding = [each.of(configuration) for each in (WeightSharing, StoredRounding, TiedTraining)]
        segment = OnlySegment(start.layers) if start.layers is not None else None
        hooks: list[Hook] = [
            hook for hook in (KeepMasked(masks) if masks else None, rounding, *coding, segment) if hook is not None
        ]
        finetune(
            start.module,
            train,
            recipe,
            self._task.loss,
            seed=self._seed,
            teacher=self._taught(train) if recipe.distillation_weight > 0 else None,
            hooks=hooks,
            on_step=on_step,
            checkpoint=self._checkpoint(start, recipe),
            device=training_device(),
        )
        stored: dict[str, StoredWeight] = {}
        for hook in coding:
            stored |= hook.weights if hook is not None else {}
        return TrainedRounding(rounding.values if rounding is not None else {}, stored)

    def keep(self, start: Start, ended: Sequence[Configuration]) -> None:
        """Remembers a trained candidate, so that others can start from it once its trial has ended."""
        self._relatives.keep(start.configuration, start.module.state_dict(), ended)

    def _taught(self, train: Split) -> Teacher:
        """The uncompressed network's answers on the training split, asked once."""
        if self._teacher is None:
            self._teacher = Teacher(predict(self._baseline, train), self._task.distance)
        return self._teacher

    def _checkpoint(self, start: Start, recipe: TrainingRecipe) -> Checkpoint:
        if self._weights is None:
            self._weights = digest(self._baseline.state_dict())
        facts = {
            "configuration": start.configuration.key,
            "parent": start.parent.key if start.parent is not None else None,
            "layers": sorted(start.layers) if start.layers is not None else None,
            "recipe": recipe.to_json(),
            "seed": self._seed,
            "weights": self._weights,
        }
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return Checkpoint(self._folder / f"training-{key[:16]}.checkpoint", key)


def removed_weights(module: fx.GraphModule, configuration: Configuration) -> dict[str, Tensor]:
    """Masks, true where a weight stays, of the layers that a configuration makes sparse; of a prepared network."""
    decisions = decisions_of(configuration, Sparsify().name)
    return {name: torch.ne(_weight(module, name), 0) for name, _ in decided_layers(module, decisions)}


def _weight(module: fx.GraphModule, name: str) -> Tensor:
    weight = module.get_submodule(name).weight
    assert isinstance(weight, Tensor)
    return weight
