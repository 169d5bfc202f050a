"""Merges layers between which nothing is non-linear, exactly, in float64.

Source: METHODS section 6; kernel `K = k1 + s1 (k2 - 1)`, bias `b2 + sum(W2) b1`.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .chain import Chain, Shortcut, merged_padding, merged_stride
from .network import module_of, replace_module


def merge_weights(first: Tensor, second: Tensor, stride: tuple[int, int]) -> Tensor:
    """The kernel that does what two convolutions do one after the other, without padding between them.

    Args:
        first: Weight (middle, in, k1, k1).
        second: Weight (out, middle, k2, k2).
        stride: Stride of the first.

    Returns:
        Weight (out, in, K, K) with K = k1 + stride * (k2 - 1).
    """
    out, _, k2h, k2w = second.shape
    _, inner, k1h, k1w = first.shape
    merged = first.new_zeros(out, inner, k1h + stride[0] * (k2h - 1), k1w + stride[1] * (k2w - 1))
    for row in range(k2h):
        for column in range(k2w):
            top, left = stride[0] * row, stride[1] * column
            merged[:, :, top : top + k1h, left : left + k1w] += torch.einsum(
                "om,micd->oicd", second[:, :, row, column], first
            )
    return merged


def folded_parameters(layer: nn.Module, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Weight and bias in float64 of a layer with its BatchNorm folded in; a linear layer as (out, in, 1, 1)."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight = layer.weight.detach().double()
    bias = weight.new_zeros(weight.shape[0]) if layer.bias is None else layer.bias.detach().double()
    if norm is not None:
        assert isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach().double() if norm.affine else None
        shift = norm.bias.detach().double() if norm.affine else None
        mean, variance = norm.running_mean.double(), norm.running_var.double()
        fused = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, scale, shift)
        weight, bias = fused[0].detach(), fused[1].detach()
    return (weight[:, :, None, None] if weight.dim() == 2 else weight), bias


def merge_pair(module: fx.GraphModule, chain: Chain) -> None:
    """Replaces two layers and the linear activation between them, in place, by one layer under the first's name."""
    first, second = _layer(module, chain.first), _layer(module, chain.second)
    first_weight, first_bias = folded_parameters(first, module_of(module, chain.first_norm))
    second_weight, second_bias = folded_parameters(second, None)
    stride = (first.stride[0], first.stride[1]) if isinstance(first, nn.Conv2d) else (1, 1)
    weight = merge_weights(first_weight, second_weight, stride)
    bias = second_bias + second_weight.sum((2, 3)) @ first_bias
    merged: nn.Conv2d | nn.Linear
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d):
        kernel, channels = (weight.shape[2], weight.shape[3]), (weight.shape[1], weight.shape[0])
        merged = nn.Conv2d(*channels, kernel, merged_stride(first, second), merged_padding(first, second))
    else:
        merged = nn.Linear(weight.shape[1], weight.shape[0])
    replace_module(module, str(chain.first.target), _load(merged, weight, bias, like=first))
    chain.second.replace_all_uses_with(chain.first)
    module.graph.eliminate_dead_code()


def absorb_shortcut(module: fx.GraphModule, node: fx.Node, shortcut: Shortcut) -> None:
    """Takes the addition of a shortcut into a convolution's kernel, in place, with the BatchNorms on the way.

    The shortcut is a 1 x 1 kernel at the place that reads the pixel itself: index `padding` of the larger kernel.
    """
    conv = _layer(module, node)
    assert isinstance(conv, nn.Conv2d)
    weight, bias = folded_parameters(conv, module_of(module, shortcut.norm))
    if shortcut.projection is None:
        point, extra = torch.eye(weight.shape[0], dtype=weight.dtype), torch.zeros_like(bias)
    else:
        projected, extra = folded_parameters(
            _layer(module, shortcut.projection), module_of(module, shortcut.projection_norm)
        )
        point = projected[:, :, 0, 0]
    weight = weight.clone()
    weight[:, :, int(conv.padding[0]), int(conv.padding[1])] += point
    merged = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        (conv.stride[0], conv.stride[1]),
        (int(conv.padding[0]), int(conv.padding[1])),
    )
    replace_module(module, str(node.target), _load(merged, weight, bias + extra, like=conv))
    shortcut.addition.replace_all_uses_with(node)
    module.graph.eliminate_dead_code()


def _load(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor, *, like: nn.Module) -> nn.Module:
    reference = next(like.parameters())
    layer = layer.to(device=reference.device, dtype=reference.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        assert layer.bias is not None
        layer.bias.copy_(bias)
    return layer.train(like.training)


def _layer(module: fx.GraphModule, node: fx.Node) -> nn.Conv2d | nn.Linear:
    layer = module_of(module, node)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    return layer
