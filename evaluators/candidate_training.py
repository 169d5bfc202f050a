"""How a candidate is trained: what it starts from, who teaches it, and where a killed training goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, fx, nn

from ..spaces import Configuration, Network, SearchSpace, prepare
from ..tasks import Task, digest
from ..training import (
    Checkpoint,
    Hook,
    OnlySegment,
    OnStep,
    QuantizationAware,
    Split,
    Teacher,
    TrainingRecipe,
    changed_layers,
    finetune,
    predict,
    reconstruct,
    training_device,
)
from .inheritance import Inheritance, Relatives, inherit, nearest

N_RECONSTRUCTION = 128
"""Training samples that low-rank layers are fitted on before a fine-tune."""


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
        ranked = [site.removeprefix("rank/") for site in configuration if site.startswith("rank/")]
        if ranked:
            module = reconstruct(module, self._network.module, ranked, self._calibration).module
        parent = nearest(self._space, configuration, self._relatives.eligible(ended))
        if parent is None:
            return Start(module, configuration)
        state = self._relatives.load(parent)
        share = inherit(module, self._network, self._space, configuration, parent, state)
        is_segment = self._inheritance is Inheritance.SEGMENT
        layers = changed_layers(self._space, configuration, parent) if is_segment else None
        return Start(module, configuration, parent, share, layers)

    def train(
        self, start: Start, train: Split, recipe: TrainingRecipe, on_step: OnStep | None = None
    ) -> QuantizationAware | None:
        """Trains a candidate in place, where it was killed from where it was killed.

        Args:
            start: See `start`.
            train: Training data.
            recipe: The fine-tune.
            on_step: Progress.

        Returns:
            The ranges that were learned with rounding; None where the recipe trains without.
        """
        rounding = QuantizationAware.of(start.configuration) if recipe.quantization_share > 0 else None
        segment = OnlySegment(start.layers) if start.layers is not None else None
        hooks: list[Hook] = [hook for hook in (rounding, segment) if hook is not None]
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
        return rounding

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
