"""How a compressed network wins its accuracy back."""

from .checkpoint import Checkpoint
from .distillation import Distance, ensemble_logits, predict, soft_target_loss
from .finetune import Augment, Loss, OnStep, Teacher, Trained, finetune
from .hooks import Hook, Run
from .recipe import TrainingRecipe
from .split import Batch, Split

__all__ = [
    "Augment",
    "Batch",
    "Checkpoint",
    "Distance",
    "Hook",
    "Loss",
    "OnStep",
    "Run",
    "Split",
    "Teacher",
    "Trained",
    "TrainingRecipe",
    "ensemble_logits",
    "finetune",
    "predict",
    "soft_target_loss",
]
