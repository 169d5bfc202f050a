"""Learning from what the uncompressed network answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .split import Split


def predict(module: nn.Module, split: Split, batch_size: int = 256) -> Tensor:
    """Outputs of a network for every sample of a split, shape (n, ...); on fixed inputs a teacher is asked once."""
    module = module.eval()
    with torch.no_grad():
        return torch.cat([module(channels_last(batch.inputs)) for batch in split.batches(batch_size)])


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


def channels_last(inputs: Tensor) -> Tensor:
    """Image batches in the memory order in which convolutions train fastest; others unchanged."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
