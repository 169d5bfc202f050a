"""Linear layers whose weights alone are in few bits: large linear layers wait for the memory, not for the arithmetic.

A weight of shape (out, in) is cut along its inputs into blocks, each with a scale of its own. The runtime's operator is
MatMulNBits, which turns the blocks into integers of 8 bits for its products (accuracy level 4).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx import is_in_onnx_export

from ..precision import TensorQuantization
from .quantized_layers import frozen_bias

# The operator's levels: 0 and 1 compute in float32 from weights unpacked on the way, which is many times slower.
_ACCURACY_LEVEL = 4


class WeightOnlyLinear(nn.Module):
    """A linear layer with its weight in blocks of few bits."""

    weight: Tensor
    scale: Tensor

    def __init__(self, layer: nn.Linear, quantization: TensorQuantization) -> None:
        """Quantises a linear layer; the last block is filled up with zeros where the inputs are no multiple."""
        super().__init__()
        assert quantization.block_size is not None
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bits, self.block_size = quantization.bits, quantization.block_size
        self._integers = block_integers(layer.weight.detach(), quantization).to(torch.int8)
        self.register_buffer("weight", packed(self._integers, self.bits))
        self.register_buffer("scale", torch.tensor(quantization.scale))
        self.bias = frozen_bias(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Gives (..., out) for (..., in)."""
        if is_in_onnx_export():
            sizes = (self.in_features, self.out_features, self.bits, self.block_size)
            product: Tensor = _MatMulNBits.apply(x, self.weight, self.scale, *sizes)
            return product if self.bias is None else product + self.bias
        restored = self._integers * self.scale.reshape(self._integers.shape[:2])[:, :, None]
        weight = restored.flatten(1)[:, : self.in_features]
        return functional.linear(x, weight, self.bias)


def weight_blocks(weight: Tensor, block_size: int) -> Tensor:
    """Cuts a weight (out, in) into (out, blocks, block_size), filled up with zeros."""
    padded = functional.pad(weight, (0, -weight.shape[1] % block_size))
    return padded.reshape(len(weight), -1, block_size)


def block_integers(weight: Tensor, quantization: TensorQuantization) -> Tensor:
    """Integers, in float, of a weight (out, in) in blocks: (out, blocks, block_size)."""
    assert quantization.block_size is not None
    blocks = weight_blocks(weight, quantization.block_size)
    scale = torch.tensor(quantization.scale).reshape(*blocks.shape[:2], 1)
    return (blocks / scale).round().clamp(quantization.qmin, quantization.qmax)


def packed(integers: Tensor, bits: int) -> Tensor:
    """Packs signed integers (out, blocks, block) into bytes (out, blocks, block * bits / 8), as MatMulNBits reads them.

    The operator's integers are unsigned with a zero point in the middle; of two in a byte the first is the low half.
    """
    unsigned = (integers.to(torch.int16) + (1 << (bits - 1))).to(torch.uint8)
    return unsigned if bits == 8 else unsigned[..., ::2] | (unsigned[..., 1::2] << 4)


class _MatMulNBits(torch.autograd.Function):
    """A product with a weight in blocks: ONNX Runtime's own operator in an exported file."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, *sizes: int) -> Tensor:  # Any: torch's context
        return x.new_zeros(*x.shape[:-1], sizes[1])  # The values do not matter while tracing, the shape does.

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, scale: Any, *sizes: int) -> Any:  # Any: values of a graph being exported
        inputs, outputs, bits, block_size = sizes
        product = g.op(
            "com.microsoft::MatMulNBits",
            x,
            weight,
            scale,
            K_i=inputs,
            N_i=outputs,
            bits_i=bits,
            block_size_i=block_size,
            accuracy_level_i=_ACCURACY_LEVEL,
        )
        known = x.type().varyingSizes()
        return product.setType(x.type().with_sizes([*known[:-1], outputs]) if known else x.type())
