"""Cross-layer equalisation: the channels between two layers scaled alike, so that one scale fits them all.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, fx, nn

from .network import is_layer, module_of, n_calls, only_user

SWEEPS = 4
"""Scaling one pair disturbs the next; after a few sweeps over all of them nothing moves."""
LARGEST_FACTOR = 1e3
"""A channel of almost no weight would otherwise be scaled without limit."""
# Positively homogeneous: f(s x) = s f(x) for s > 0. ReLU6 is not.
_HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.Dropout, nn.Dropout2d)
_SCALABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def equalise(module: fx.GraphModule, layers: Collection[str]) -> int:
    """Scales the channels between layers in place, so that each is as wide in the one's weights as in the other's.

    The network computes what it did. Only pairs with nothing but ReLU, LeakyReLU, max pooling or dropout between them,
    each read by the next alone, can be scaled.

    Args:
        module: A finished network (BatchNorm folded).
        layers: Those that will be quantised; a pair is scaled where both are.

    Returns:
        Number of pairs.
    """
    pairs = [pair for pair in _pairs(module) if set(pair) <= set(layers)]
    for _ in range(SWEEPS):
        for first, second in pairs:
            _equalise_pair(module.get_submodule(first), module.get_submodule(second))
    return len(pairs)


def _pairs(module: fx.GraphModule) -> Iterator[tuple[str, str]]:
    for node in module.graph.nodes:
        if not _is_scalable(module, node):
            continue
        follower = only_user(node)
        while follower is not None and isinstance(module_of(module, follower), _HOMOGENEOUS):
            follower = only_user(follower)
        if follower is None or not _is_scalable(module, follower):
            continue
        first, second = module_of(module, node), module_of(module, follower)
        if isinstance(first, nn.Linear) == isinstance(second, nn.Linear):
            yield str(node.target), str(follower.target)


def _is_scalable(module: fx.GraphModule, node: fx.Node) -> bool:
    return isinstance(module_of(module, node), _SCALABLE) and n_calls(module, node) == 1


def _equalise_pair(first: nn.Module, second: nn.Module) -> None:
    assert is_layer(first)
    assert is_layer(second)
    with torch.no_grad():
        columns = _by_input(second)  # (groups, inputs per group, outputs per group, kernel)
        outer = first.weight.flatten(1).abs().amax(1)  # (channels,)
        inner = columns.abs().amax((2, 3)).flatten()  # (channels,)
        # Equation 11: s = sqrt(r1 r2) / r2, by which the first layer is divided and the second multiplied.
        scale = (outer / inner).sqrt()
        is_usable = (outer > 0) & (inner > 0)
        scale = torch.where(is_usable, scale.clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR), torch.ones_like(scale))
        first.weight.div_(scale.reshape(-1, *[1] * (first.weight.dim() - 1)))
        if first.bias is not None:
            first.bias.div_(scale)
        scaled = columns * scale.reshape(*columns.shape[:2], 1, 1)
        second.weight.copy_(scaled.transpose(1, 2).reshape(second.weight.shape))


def _by_input(layer: nn.Module) -> Tensor:
    """A layer's weight with its inputs first: (groups, inputs per group, outputs per group, kernel)."""
    assert is_layer(layer)
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    weight = layer.weight
    return weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1).transpose(1, 2)
