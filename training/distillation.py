"""Learning from what the uncompressed network, or any other teacher, answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..hardware_profiles.errors import TrainingError
from .split import Split

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(student's outputs, teacher's outputs) → scalar: for outputs that are not logits of classes."""


def predict(module: nn.Module, split: Split, batch_size: int = 256) -> Tensor:
    """Outputs of a network for every sample of a split, shape (n, ...); on fixed inputs a teacher is asked once."""
    module = module.eval()
    with torch.no_grad():
        return torch.cat([module(channels_last(batch.inputs)) for batch in split.batches(batch_size)])


def ensemble_logits(outputs: Sequence[Tensor]) -> Tensor:
    """One teacher of several: the logarithm of their mean class probabilities.

    Args:
        outputs: Logits of each member, shape (n, classes).

    Returns:
        Logits, shape (n, classes).

    Raises:
        TrainingError: There are none, or their shapes differ.
    """
    if not outputs or any(each.shape != outputs[0].shape for each in outputs):
        shapes = [tuple(each.shape) for each in outputs]
        raise TrainingError(
            f"members of an ensemble must give outputs of one shape, got {shapes}: leave the others out"
        )
    stacked = torch.stack([functional.log_softmax(each, 1) for each in outputs])
    return stacked.logsumexp(0) - torch.log(torch.tensor(float(len(outputs))))


def soft_target_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T² · KL(teacher/T ‖ student/T)` (Hinton et al. 2015).

    Args:
        student: Logits, shape (n, classes).
        teacher: Logits, shape (n, classes).
        temperature: T; the factor T² keeps gradients comparable to the plain loss.
    """
    divergence = functional.kl_div(
        functional.log_softmax(student / temperature, 1),
        functional.softmax(teacher / temperature, 1),
        reduction="batchmean",
    )
    return divergence * temperature**2


def check_teacher(teacher_outputs: Tensor, n_train: int) -> None:
    """Checks a teacher's outputs before the first step.

    Raises:
        TrainingError: They are not one per training sample, or not finite.
    """
    if len(teacher_outputs) != n_train:
        raise TrainingError(
            f"a teacher must have answered each of the {n_train} training samples, got {len(teacher_outputs)} answers: "
            "ask it on the same split"
        )
    if not bool(teacher_outputs.isfinite().all()):
        raise TrainingError("a teacher's outputs must be finite, but some are not: check its weights and the inputs")


def channels_last(inputs: Tensor) -> Tensor:
    """Image batches in the memory order in which convolutions train fastest; others unchanged."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
