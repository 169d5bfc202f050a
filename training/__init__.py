"""How a compressed network wins its accuracy back."""

from .distillation import predict, soft_target_loss
from .finetune import Augment, Loss, OnStep, Trained, finetune
from .recipe import TrainingRecipe
from .split import Batch, Split

__all__ = [
    "Augment",
    "Batch",
    "Loss",
    "OnStep",
    "Split",
    "Trained",
    "TrainingRecipe",
    "finetune",
    "predict",
    "soft_target_loss",
]
