"""Merges layers between which nothing is non-linear, exactly, in float64.

Source: METHODS section 6; kernel `K = k1 + s1 (k2 - 1)`, bias `b2 + sum(W2) b1`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeAlias

import torch
from torch import Tensor, fx, nn

from .chain import Segment, mergeable
from .geometry import Geometry
from .graph import LayerModule, TransposedConvolution, is_layer, module_of, replace_module
from .shortcut import Shortcut

_Index: TypeAlias = tuple[EllipsisType | slice | int, ...]


@dataclass(frozen=True, slots=True)
class LinearMap:
    """A layer as its sizes and float64 parameters: weight (out, in / groups, *kernel), bias (out,)."""

    geometry: Geometry
    weight: Tensor
    bias: Tensor

    def then(self, other: LinearMap) -> LinearMap:
        """The one map that does what this and another do one after the other, without padding between them."""
        first, second, merged = self.geometry, other.geometry, self.geometry.then(other.geometry)
        axes = range(len(merged.kernel))
        left = spread(self.weight, [first.dilation[axis] // merged.dilation[axis] for axis in axes])
        left = regroup(left, first.groups, merged.groups)
        steps = [first.stride[axis] * second.dilation[axis] // merged.dilation[axis] for axis in axes]
        weight = merge_weights(left, other.weight, steps, second.groups)
        all_taps = other.weight.flatten(2).sum(2) if axes else other.weight
        bias = merge_weights(self.bias[:, None], all_taps, (), second.groups)[:, 0]
        return LinearMap(merged, weight, other.bias + bias)

    def effort(self, other: LinearMap) -> int:
        """Multiply-accumulates that `then` takes."""
        first, second = self.geometry, other.geometry
        inner, outer = first.in_channels // first.then(second).groups, second.out_channels // second.groups
        return first.out_channels * inner * math.prod(first.kernel) * outer * math.prod(second.kernel)

    def build(self, like: nn.Module) -> nn.Module:
        """A layer with these parameters, on the device, in the type and in the mode of another."""
        reference = next(like.parameters())
        layer = self.geometry.build().to(device=reference.device, dtype=reference.dtype)
        assert layer.bias is not None
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(self.bias)
        return layer.train(like.training)


def merge_weights(first: Tensor, second: Tensor, steps: Sequence[int], groups: int = 1) -> Tensor:
    """The kernel that does what two convolutions do one after the other, without padding between them.

    Args:
        first: Weight (middle, in, *k1), in as many groups of channels as the merged kernel has.
        second: Weight (out, middle / groups, *k2).
        steps: Per spatial dimension, by how many taps of the merged kernel one tap of the second moves the first: the
            stride of the first where nothing is dilated.
        groups: Of the second; none of them reads two groups of the first.

    Returns:
        Weight (out, in, *K) with K = k1 + step * (k2 - 1).
    """
    left = first.reshape(groups, -1, *first.shape[1:])  # (middle, in, *k1) -> (groups, middle / groups, in, *k1)
    right = second.reshape(groups, -1, *second.shape[1:])  # likewise by output channels
    sizes = [k1 + step * (k2 - 1) for k1, k2, step in zip(first.shape[2:], second.shape[2:], steps, strict=True)]
    merged = first.new_zeros(groups, right.shape[1], left.shape[2], *sizes)
    for tap in itertools.product(*map(range, second.shape[2:])):
        starts = [step * each for step, each in zip(steps, tap, strict=True)]
        spans = [slice(start, start + k1) for start, k1 in zip(starts, first.shape[2:], strict=True)]
        window: _Index = (..., *spans)
        place: _Index = (..., *tap)
        merged[window] += torch.einsum("gom,gmi...->goi...", right[place], left)
    return merged.flatten(0, 1)


def spread(weight: Tensor, steps: Sequence[int]) -> Tensor:
    """The kernel (out, in, *k) with its taps `steps` apart and zeros between them."""
    if all(step <= 1 for step in steps):
        return weight
    sizes = [max(1, step) * (k - 1) + 1 for k, step in zip(weight.shape[2:], steps, strict=True)]
    wide = weight.new_zeros(*weight.shape[:2], *sizes)
    taps: _Index = (..., *[slice(None, None, max(1, step)) for step in steps])
    wide[taps] = weight
    return wide


def regroup(weight: Tensor, groups: int, fewer: int) -> Tensor:
    """The kernel (out, in / groups, *k) of a grouped convolution as one of fewer groups, zero where nothing was."""
    each = groups // fewer
    if each == 1:
        return weight
    blocks = weight.reshape(fewer, each, -1, *weight.shape[1:])  # (fewer, each, out / groups, in / groups, *k)
    inner = blocks.shape[3]
    wide = weight.new_zeros(*blocks.shape[:3], each * inner, *blocks.shape[4:])
    for block in range(each):
        wide[:, block, :, block * inner : (block + 1) * inner] = blocks[:, block]
    return wide.flatten(0, 2)


def folded_parameters(layer: nn.Module, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Weight, in the layer's shape, and bias (out,), both in float64, of a layer with its BatchNorm folded in."""
    assert is_layer(layer)
    weight = layer.weight.detach().double()
    out_channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    bias = weight.new_zeros(out_channels) if layer.bias is None else layer.bias.detach().double()
    if norm is None:
        return weight, bias
    scale = norm_factor(norm)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    assert norm.running_mean is not None
    bias = (bias - norm.running_mean.double()) * scale
    if norm.affine:
        bias = bias + norm.bias.detach().double()
    return _scaled(layer, weight, scale), bias


def norm_factor(norm: nn.Module | None) -> Tensor:
    """What a BatchNorm multiplies each channel by, shape (channels,), in float64."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    assert norm.running_var is not None
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    return factor * norm.weight.detach().double() if norm.affine else factor


def _scaled(layer: LayerModule, weight: Tensor, scale: Tensor) -> Tensor:
    """The weight with each output channel multiplied by its scale."""
    if not isinstance(layer, TransposedConvolution):
        return weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    # A transposed convolution's weight is (in, out / groups, *k), its inputs in the order of the groups.
    by_group = weight.reshape(layer.groups, -1, *weight.shape[1:])
    return (by_group * scale.reshape(layer.groups, 1, -1, *[1] * (weight.dim() - 2))).reshape(weight.shape)


def merge_segment(module: fx.GraphModule, segment: Segment) -> None:
    """Replaces the layers of a segment and all between them, in place, by one layer under the first's name.

    What is between them must be linear. A BatchNorm behind the last layer stays.
    """
    norms = [module_of(module, link.norm) for link in segment.links]
    maps = [_as_map(module, node, norm) for node, norm in zip(segment.layers, [*norms, None], strict=True)]
    while len(maps) > 1:  # the cheapest pair first: the order matters for the time and for nothing else
        at = min(range(len(maps) - 1), key=lambda i: maps[i].effort(maps[i + 1]))
        maps[at : at + 2] = [maps[at].then(maps[at + 1])]
    first, last = segment.layers[0], segment.layers[-1]
    replace_module(module, str(first.target), maps[0].build(like=mergeable(module, first)))
    last.replace_all_uses_with(first)
    module.graph.eliminate_dead_code()


def absorb_shortcut(module: fx.GraphModule, node: fx.Node, shortcut: Shortcut) -> None:
    """Takes the addition of a shortcut into a layer's kernel, in place, with the BatchNorms on the way."""
    merged = _as_map(module, node, module_of(module, shortcut.norm))
    weight, bias = merged.weight.clone(), merged.bias
    centre: _Index = (..., *merged.geometry.centre)
    if shortcut.projection is None:
        channels = torch.arange(len(bias), device=weight.device)
        weight[centre][channels, channels % weight.shape[1]] += 1  # weight.shape[1]: input channels of one group
    else:
        projection = _as_map(module, shortcut.projection, module_of(module, shortcut.projection_norm))
        weight[centre] += projection.weight.flatten(1)
        bias = bias + projection.bias
    absorbed = LinearMap(merged.geometry, weight, bias)
    replace_module(module, str(node.target), absorbed.build(like=mergeable(module, node)))
    shortcut.addition.replace_all_uses_with(node)
    module.graph.eliminate_dead_code()


def _as_map(module: fx.GraphModule, node: fx.Node, norm: nn.Module | None) -> LinearMap:
    layer = mergeable(module, node)
    return LinearMap(Geometry.of(layer), *folded_parameters(layer, norm))
