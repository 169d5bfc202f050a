"""What kind of operation a graph node is, as far as channels are concerned: one table for torch's many spellings."""

from __future__ import annotations

import enum
import operator
from typing import Any

from torch import nn
from torch.nn import functional

from .attention import HeadAttention
from .linearise import LinearisedActivation
from .modularise import Split


class Kind(enum.Enum):
    """What an operation does to channels."""

    LAYER = "makes channels out of others"
    NORM = "has parameters per channel and keeps each in its place"
    POINTWISE = "keeps each channel in its place"
    LOCAL = "keeps each channel in its place, and mixes what lies along the axes behind"
    MOVEMENT = "moves elements without changing them"
    ITEM = "takes a part"
    ATTRIBUTE = "asks for a fact such as the shape"
    REDUCTION = "sums over axes"
    COMBINATION = "combines tensors element by element"
    JOIN = "puts tensors side by side"
    SPLIT = "divides an axis into parts"
    ATTENTION = "mixes tokens head by head"
    OTHER = "cannot be followed"


_MODULES: tuple[tuple[Kind, tuple[type[nn.Module], ...]], ...] = (
    (Kind.LAYER, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)),
    (Kind.LAYER, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)),
    (Kind.NORM, (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)),
    (Kind.NORM, (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.PReLU)),
    (Kind.MOVEMENT, (nn.Flatten, nn.Unflatten)),
    (Kind.SPLIT, (Split,)),
    (Kind.ATTENTION, (HeadAttention,)),
    (Kind.OTHER, (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d, nn.GLU, nn.MultiheadAttention)),
    (Kind.POINTWISE, (nn.modules.dropout._DropoutNd, nn.Identity, LinearisedActivation)),
    (Kind.LOCAL, (nn.Upsample, nn.ZeroPad1d, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ConstantPad2d)),
)
_FILES = {"torch.nn.modules.activation": Kind.POINTWISE, "torch.nn.modules.pooling": Kind.LOCAL}
_MOVEMENTS = (
    "flatten unflatten reshape view view_as permute transpose t swapaxes swapdims movedim squeeze unsqueeze expand "
    "expand_as repeat contiguous clone roll flip narrow select pad tile broadcast_to unbind"
)
_POINTWISE = (
    "relu relu_ relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid tanh softplus "
    "threshold clamp clamp_ clip exp log sqrt rsqrt abs neg square reciprocal pow erf detach float half to type_as "
    "dropout dropout2d alpha_dropout feature_dropout"
)
_LOCAL = (
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d boolean_dispatch interpolate "
    "upsample"
)
_COMBINATIONS = (
    "add add_ iadd sub sub_ isub mul mul_ imul div div_ truediv itruediv maximum minimum where lerp addcmul radd rsub"
)
_NAMES: dict[str, Kind] = {
    **dict.fromkeys(_MOVEMENTS.split(), Kind.MOVEMENT),
    **dict.fromkeys(_POINTWISE.split(), Kind.POINTWISE),
    **dict.fromkeys(_LOCAL.split(), Kind.LOCAL),
    **dict.fromkeys(_COMBINATIONS.split(), Kind.COMBINATION),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), Kind.REDUCTION),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), Kind.JOIN),
    **dict.fromkeys(("size", "dim", "numel", "ne", "eq", "lt", "gt", "le", "ge", "floordiv", "mod"), Kind.ATTRIBUTE),
}
_FUNCTIONS: dict[Any, Kind] = {operator.getitem: Kind.ITEM, getattr: Kind.ATTRIBUTE, functional.pad: Kind.MOVEMENT}


def kind_of(operation: Any) -> Kind:
    """The kind of a module, a function, or a method's name."""
    if isinstance(operation, nn.Module):
        known = next((kind for kind, types in _MODULES if isinstance(operation, types)), None)
        if known is not None:
            return known
        return _FILES.get(type(operation).__module__, Kind.OTHER)
    if operation in _FUNCTIONS:
        return _FUNCTIONS[operation]
    if isinstance(operation, str):
        return _NAMES.get(operation, Kind.OTHER)
    is_known = str(getattr(operation, "__module__", "")).startswith(("torch", "_operator", "None"))
    name = str(getattr(operation, "__name__", ""))
    return _NAMES.get(name, Kind.OTHER) if is_known else Kind.OTHER
