"""How a compressed network wins its accuracy back."""

from .checkpoint import Checkpoint
from .device import training_device
from .distillation import Distance, ensemble_logits, predict, soft_target_loss
from .finetune import Augment, Loss, OnStep, Teacher, Trained, finetune
from .hooks import Hook, Run
from .quantization_aware import QuantizationAware
from .recipe import TrainingRecipe
from .segments import OnlySegment, changed_layers
from .snapshots import Snapshots, ensemble_outputs, snapshot_networks
from .split import Batch, Split

__all__ = [
    "Augment",
    "Batch",
    "Checkpoint",
    "Distance",
    "Hook",
    "Loss",
    "OnStep",
    "OnlySegment",
    "QuantizationAware",
    "Run",
    "Snapshots",
    "Split",
    "Teacher",
    "Trained",
    "TrainingRecipe",
    "changed_layers",
    "ensemble_logits",
    "ensemble_outputs",
    "finetune",
    "predict",
    "snapshot_networks",
    "soft_target_loss",
    "training_device",
]
