"""How much a channel matters: by its weights, the norm behind it, the loss, or its likeness to others.

Sources: group norm, Fang et al. 2023 (DepGraph); BatchNorm scale, Liu et al. 2017 (network slimming); first-order
Taylor, Molchanov et al. 2019; FPGM, He et al. 2019 (filter pruning via geometric median).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ..hardware_profiles.errors import SpaceError, unknown_name
from .channel_map import ChannelMap, Holder, Numbers
from .graph import TransposedConvolution, is_layer

Entries: TypeAlias = Callable[[nn.Module, Holder], Tensor | None]
"""(module, holder) → the score of each entry of the holder, shape (entries,), or None where it has no say."""


def class_scores(
    module: nn.Module, channels: ChannelMap, classes: Mapping[str, Numbers], importances: Mapping[str, Tensor]
) -> Tensor:
    """The importance of each class of a group, shape (classes,); over their mean, 1 is the average class.

    Args:
        module: The network.
        channels: Its channels.
        classes: The class of each output channel by layer of the group.
        importances: Importance of each output channel by layer; by weights where no layer has one.
    """
    n_classes = 1 + max(int(each.max()) for each in classes.values())
    known = {name: importances[name] for name in classes if name in importances}
    if known:
        found = [_per_class(scores, torch.from_numpy(classes[name]), n_classes) for name, scores in known.items()]
    else:
        found = _by_holders(module, channels, classes, n_classes, _squared_weights)
    scores = torch.stack(found).mean(0)
    return scores / scores.mean().clamp_min(1e-30)


def measure_importances(
    module: nn.Module, channels: ChannelMap, method: str, loss: Callable[[nn.Module], Tensor] | None = None
) -> dict[str, Tensor]:
    """The importance of each output channel by layer, shape (out,), in the uncompressed network.

    Args:
        module: The network; left as it is.
        channels: Its channels, see `follow_channels`.
        method: One of `METHODS`; `l2` gives nothing, as it is read from the weights anyway.
        loss: The loss of a network on calibration data, for `taylor`.

    Raises:
        SpaceError: The method is unknown, or `taylor` has no loss.
    """
    if method not in METHODS:
        raise SpaceError(unknown_name("importance", method, METHODS))
    entries = METHODS[method]
    if entries is None:
        return {}
    if method == "taylor":
        if loss is None:
            raise SpaceError("importance 'taylor' needs a loss on calibration data: choose 'l2' where there is none")
        module.zero_grad()
        with torch.enable_grad():
            loss(module).backward()  # type: ignore[no-untyped-call]
    found: dict[str, Tensor] = {}
    for name, numbers in channels.made.items():
        own = {name: np.arange(len(numbers))}
        scores = _by_holders(module, channels, own, len(numbers), entries)
        if scores:
            found[name] = torch.stack(scores).mean(0)
    module.zero_grad()
    return found


def _by_holders(
    module: nn.Module, channels: ChannelMap, classes: Mapping[str, Numbers], n_classes: int, entries: Entries
) -> list[Tensor]:
    """The scores that each holder gives the classes, summed over its entries of a class."""
    class_of = np.full(channels.n_channels, n_classes)  # the last stands for channels of other groups
    for name, each in classes.items():
        class_of[channels.made[name]] = each
    found = []
    for holder in channels.holders:
        place = torch.from_numpy(class_of[holder.numbers])
        if holder.role in ("out", "in", "depthwise", "norm") and bool((place < n_classes).any()):
            scores = entries(module.get_submodule(holder.name), holder)
            if scores is not None:
                found.append(_per_class(scores, place, n_classes + 1)[:n_classes])
    return found


def _per_class(scores: Tensor, place: Tensor, n_classes: int) -> Tensor:
    return torch.zeros(n_classes).index_add_(0, place, scores.detach().float())


def _squared_weights(unit: nn.Module, holder: Holder) -> Tensor | None:
    weight = getattr(unit, "weight", None)
    return None if weight is None else _summed(unit, holder, weight.detach().square())


def _norm_scale(unit: nn.Module, holder: Holder) -> Tensor | None:
    scale: Any = getattr(unit, "weight", None) if holder.role == "norm" else None
    return None if scale is None else scale.detach().abs()


def _taylor(unit: nn.Module, holder: Holder) -> Tensor | None:
    weight = getattr(unit, "weight", None)
    if weight is None or weight.grad is None:
        return None
    product = weight.detach() * weight.grad
    return _summed(unit, holder, product).square()


def _distance_to_others(unit: nn.Module, holder: Holder) -> Tensor | None:
    """The sum of a filter's distances to the other filters of its layer: a filter amid the others is replaceable."""
    if holder.role != "out" or not is_layer(unit):
        return None
    axis = 1 if isinstance(unit, TransposedConvolution) else 0
    filters = unit.weight.detach().movedim(axis, 0).flatten(1)
    return torch.cdist(filters, filters).sum(1)


def _summed(unit: nn.Module, holder: Holder, values: Tensor) -> Tensor:
    """Sums a weight's values over all but the axis that the holder's entries lie on."""
    if values.dim() == 1:
        return values
    is_input = holder.role == "in"
    axis = 1 if is_input != isinstance(unit, TransposedConvolution) else 0
    sums = values.movedim(axis, 0).flatten(1).sum(1)
    n_entries = len(holder.numbers)
    if len(sums) < n_entries:  # a grouped convolution's weight holds the inputs of one group
        return sums.repeat(n_entries // len(sums))
    return sums.reshape(n_entries, -1).sum(1)  # a depthwise convolution may have several outputs per input


METHODS: Mapping[str, Entries | None] = {"l2": None, "bn": _norm_scale, "taylor": _taylor, "fpgm": _distance_to_others}
"""Ways to measure importance by the name that the command line uses."""
