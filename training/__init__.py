"""How a compressed network wins its accuracy back."""

from .checkpoint import Checkpoint
from .device import training_device
from .distillation import Distance, ensemble_logits, predict, soft_target_loss
from .factor_norms import add_factor_norms
from .finetune import Augment, Loss, OnStep, Teacher, Trained, finetune
from .gradual_pruning import GradualPruning
from .hints import FeatureHints
from .hooks import Hook, Run
from .masks import (
    KeepMasked,
    Masks,
    apply_masks,
    masks_by_density,
    masks_by_threshold,
    overall_density,
    prune_iteratively,
)
from .quantization_aware import QuantizationAware
from .recipe import TrainingRecipe
from .reconstruction import Reconstructed, reconstruct
from .rounding import round_layers, set_weights
from .second_order import layer_hessians, prune_layers
from .segments import OnlySegment, changed_layers
from .snapshots import Snapshots, ensemble_outputs, snapshot_networks
from .sparse_regularisation import SparseRegularisation
from .split import Batch, Split
from .stored_rounding import StoredRounding
from .tied_training import TiedTraining
from .weight_sharing import WeightSharing

__all__ = [
    "Augment",
    "Batch",
    "Checkpoint",
    "Distance",
    "FeatureHints",
    "GradualPruning",
    "Hook",
    "KeepMasked",
    "Loss",
    "Masks",
    "OnStep",
    "OnlySegment",
    "QuantizationAware",
    "Reconstructed",
    "Run",
    "Snapshots",
    "SparseRegularisation",
    "Split",
    "StoredRounding",
    "Teacher",
    "TiedTraining",
    "Trained",
    "TrainingRecipe",
    "WeightSharing",
    "add_factor_norms",
    "apply_masks",
    "changed_layers",
    "ensemble_logits",
    "ensemble_outputs",
    "finetune",
    "layer_hessians",
    "masks_by_density",
    "masks_by_threshold",
    "overall_density",
    "predict",
    "prune_iteratively",
    "prune_layers",
    "reconstruct",
    "round_layers",
    "set_weights",
    "snapshot_networks",
    "soft_target_loss",
    "training_device",
]
