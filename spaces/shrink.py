"""Takes channels out of modules: what every kind of holder loses when some of its entries go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from .channel_map import Holder
from .graph import TransposedConvolution


def shrink(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    """Leaves a holder only those of its entries, in place.

    Args:
        module: The network.
        holder: A holder in it.
        keep: The entries that stay, ascending, shape (k,).
    """
    _SHRINK[holder.role](module, holder, keep)


def _outputs(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    layer: Any = module.get_submodule(holder.name)  # a layer of any kind; the attributes differ
    axis = 1 if isinstance(layer, TransposedConvolution) else 0
    if axis == 1 and layer.groups > 1:
        keep_of_group = keep[: len(keep) // layer.groups]
        _select(layer, "weight", keep_of_group, 1)
    else:
        _select(layer, "weight", keep, axis)
    _select(layer, "bias", keep, 0)
    _set(layer, ("out_channels", "out_features"), len(keep))


def _inputs(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    layer: Any = module.get_submodule(holder.name)
    groups = getattr(layer, "groups", 1)
    if isinstance(layer, TransposedConvolution):
        _select(layer, "weight", keep, 0)
    else:  # a grouped convolution's weight holds the inputs of one group, and all lose the same ones
        _select(layer, "weight", keep[: len(keep) // groups], 1)
    _set(layer, ("in_channels", "in_features"), len(keep))


def _depthwise(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    layer: Any = module.get_submodule(holder.name)
    per_input = layer.out_channels // layer.in_channels
    rows = (keep[:, None] * per_input + torch.arange(per_input)).flatten()
    _select(layer, "weight", rows, 0)
    _select(layer, "bias", rows, 0)
    layer.in_channels = layer.groups = len(keep)
    layer.out_channels = len(rows)


def _norm(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    norm: Any = module.get_submodule(holder.name)
    for name in ("weight", "bias", "running_mean", "running_var"):
        _select(norm, name, keep, 0)
    _set(norm, ("num_features", "num_channels", "num_parameters"), len(keep))
    if hasattr(norm, "normalized_shape"):
        norm.normalized_shape = (len(keep),)


def _split(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    split: Any = module.get_submodule(holder.name)
    part_of = torch.repeat_interleave(torch.arange(len(split.sizes)), torch.tensor(split.sizes))
    split.sizes = torch.bincount(part_of[keep], minlength=len(split.sizes)).tolist()


def _heads(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    unit: Any = module.get_submodule(holder.name)
    unit.n_heads = len(keep) // unit.head_width


def _parameter(module: fx.GraphModule, holder: Holder, keep: Tensor) -> None:
    owner, _, name = holder.name.rpartition(".")
    _select(module.get_submodule(owner), name, keep, holder.axis)


def _select(owner: nn.Module, name: str, keep: Tensor, axis: int) -> None:
    value = getattr(owner, name, None)
    if not isinstance(value, Tensor):
        return
    kept = value.detach().index_select(axis, keep)
    if isinstance(value, nn.Parameter):
        setattr(owner, name, nn.Parameter(kept, requires_grad=value.requires_grad))
    else:
        setattr(owner, name, kept)


def _set(owner: nn.Module, names: tuple[str, ...], value: int) -> None:
    for name in names:
        if hasattr(owner, name):
            setattr(owner, name, value)


_SHRINK: Mapping[str, Callable[[fx.GraphModule, Holder, Tensor], None]] = {
    "out": _outputs,
    "in": _inputs,
    "depthwise": _depthwise,
    "norm": _norm,
    "split": _split,
    "heads": _heads,
    "parameter": _parameter,
}
