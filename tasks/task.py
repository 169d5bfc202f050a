"""What is being compressed: a network, its data, its loss and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional

from ..training import Augment, Distance, Loss, Split, TrainingRecipe
from .resources import EVENLY, Resources


def classification_hits(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest logit is the target class, else 0; shape (n,)."""
    return (outputs.argmax(1) == targets).float()


@dataclass(frozen=True, slots=True)
class TaskData:
    """The three splits.

    Attributes:
        train: For fine-tuning, BatchNorm, calibration and importance.
        validation: For the search and for picking.
        test: Used once, for the final members.
    """

    train: Split
    validation: Split
    test: Split


@dataclass(frozen=True, slots=True)
class Task:
    """Everything that the search needs to know about a network.

    Attributes:
        name: Shown to people and written into the run.
        build_network: Gives the network; trained, unless `baseline_recipe` is set.
        load_data: Gives the three splits; called once per process.
        loss: (outputs, targets) → scalar.
        score: (outputs, targets) → one score per sample between 0 and 1, shape (n,); its mean in percent is the
            accuracy.
        distance: (student's outputs, teacher's outputs) → scalar, for distillation where the outputs are not logits of
            classes.
        baseline_recipe: How to train what `build_network` gives; the result is cached by content. None where it
            comes trained.
        short_recipe: The fine-tune that ranks candidates.
        full_recipe: The fine-tune that front members and the baseline get.
        usable_accuracy: A baseline below this many percent is refused before the search starts.
        augment: Changes each batch while the baseline is trained. Fine-tunes see the samples as they are: the teacher's
            answers, which they follow, are computed once per sample.
        example_inputs: Gives a few inputs of the right shape without reading the data, for looking at the network; None
            where the first training samples serve.
        resources: What each worker of a search takes, where there are any.
        license: Of the trained network, for instance `Apache-2.0`, for the cards of exported models; None where it is
            not stated.
    """

    name: str
    build_network: Callable[[], nn.Module]
    load_data: Callable[[], TaskData]
    short_recipe: TrainingRecipe
    full_recipe: TrainingRecipe
    baseline_recipe: TrainingRecipe | None = None
    loss: Loss = functional.cross_entropy
    score: Callable[[Tensor, Tensor], Tensor] = field(default=classification_hits)
    distance: Distance | None = None
    usable_accuracy: float = 20.0
    augment: Augment | None = None
    example_inputs: Callable[[], Tensor] | None = None
    resources: Resources = EVENLY
    license: str | None = None
