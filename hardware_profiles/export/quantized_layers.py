"""Layers and tensors in few bits, as torch modules: they compute in float what a runtime computes in integers.

Run by torch they are the simulation of a precision plan; traced to ONNX they become the operators that runtimes execute
in integers. So what is simulated and what is exported is one thing.

What runtimes need, and what is therefore built in here: unsigned activations and signed weights (U8S8), and a bias in
int32 whose scale is the product of the input's and the weight's.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx import is_in_onnx_export

from ..errors import ExportError
from ..precision import TensorQuantization

# Half of int32: the bias shares its accumulator with the sum of products.
_LARGEST_BIAS = 2**30
Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d


class Rounding(nn.Module):
    """Holds a tensor in 8 bits: to integers and back.

    Attributes:
        step: The scale, as a number.
        zero: The zero point, as a number.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, quantization: TensorQuantization, *, reads_steps: bool = False) -> None:
        """Prepares the rounding.

        Args:
            quantization: Of an activation: unsigned, one scale.
            reads_steps: Whether the input is counted in steps of the scale already.
        """
        super().__init__()
        self.register_buffer("scale", torch.tensor(quantization.scale[0]))
        self.register_buffer("zero_point", torch.tensor(quantization.zero_point[0], dtype=torch.uint8))
        self.step, self.zero = float(self.scale), float(quantization.zero_point[0])
        self._reads_steps = reads_steps

    def forward(self, x: Tensor) -> Tensor:
        """Gives a tensor of the same shape."""
        if is_in_onnx_export():
            quantized: Tensor = _QuantizeDequantize.apply(x, self.scale, self.zero_point)
            return quantized
        return self.integers(x).sub_(self.zero).mul_(self.step)

    def steps(self, x: Tensor) -> Tensor:
        """A tensor in steps of the scale, not rounded yet; always a new one."""
        return x.clone() if self._reads_steps else torch.div(x, self.step)

    def integers(self, x: Tensor) -> Tensor:
        """The integers of a tensor, in float."""
        return self.steps(x).round_().add_(self.zero).clamp_(0, 255)


class Int8Convolution(nn.Module):
    """A convolution with int8 weights and an int32 bias."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, layer: Convolution, quantization: TensorQuantization, input_scale: float) -> None:
        """Quantises a convolution.

        Args:
            layer: The float convolution.
            quantization: Of its weight, with one scale per output channel.
            input_scale: Of the tensor it reads.
        """
        super().__init__()
        # Its way of padding and its strides are used, its parameters are not: they would be exported beside ours.
        self._layer = [layer]
        self._input_scale = input_scale
        self.output_step: float | None = None  # the scale of its output, where it is to be counted in steps of it
        _register_integers(self, layer, quantization, input_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Gives (n, out, ...) for (n, in, ...)."""
        if is_in_onnx_export():
            weight, bias = _dequantized(self, axis=0)
            convolved: Tensor = self._layer[0]._conv_forward(x, weight, bias)
            return convolved
        # On whole numbers, whose sums are exact in float32 up to 2^24: else values near a rounding boundary fall
        # otherwise than in the runtime, and a deep network carries the difference on.
        integers = torch.div(x, self._input_scale).round_()
        sums: Tensor = self._layer[0]._conv_forward(integers, self.weight.float(), None)
        broad = [-1, *[1] * (self.weight.dim() - 2)]
        if self.bias is not None:
            sums.add_(self.bias.float().reshape(broad))
        factors = torch.tensor(self._input_scale) * self.scale
        # One factor from sums to steps, as runtimes have: two would round differently.
        return sums.mul_((factors if self.output_step is None else factors / self.output_step).reshape(broad))


class Int8Linear(nn.Module):
    """A linear layer with int8 weights and an int32 bias; the weight is stored as (in, out)."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear, quantization: TensorQuantization, input_scale: float) -> None:
        """Quantises a linear layer, see `Int8Convolution`."""
        super().__init__()
        _register_integers(self, layer, quantization, input_scale)
        self.weight = self.weight.t().contiguous()
        self._outputs = layer.out_features
        self.float_bias = frozen_bias(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Gives (..., out) for (..., in)."""
        weight, bias = _dequantized(self, axis=1)
        # On more than two dimensions the bias is added behind the product, in float.
        return _linear(x, weight, bias if x.dim() == 2 else self.float_bias, self._outputs)


class FloatLinear(nn.Module):
    """A linear layer in float32 whose weight keeps its name in an exported file; stored as (in, out)."""

    def __init__(self, layer: nn.Linear) -> None:
        """Takes the parameters of a linear layer."""
        super().__init__()
        self._outputs = layer.out_features
        self.weight = nn.Parameter(layer.weight.detach().t().contiguous(), requires_grad=False)
        self.bias = frozen_bias(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Gives (..., out) for (..., in)."""
        return _linear(x, self.weight, self.bias, self._outputs)


def frozen_bias(layer: Convolution | nn.Linear) -> nn.Parameter | None:
    """A layer's bias for a module that is not trained, None where it has none."""
    bias: Tensor | None = getattr(layer, "bias", None)
    return None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)


def quantized_integers(weight: Tensor, scale: Tensor, quantization: TensorQuantization) -> Tensor:
    """Integers of a weight (out, ...) at one scale per output channel, in float.

    The lowest integer is left out, so that the range is as symmetric as the scheme.
    """
    broad = scale.reshape(-1, *[1] * (weight.dim() - 1))
    return (weight / broad).round().clamp(quantization.qmin + 1, quantization.qmax)


def _register_integers(
    module: nn.Module, layer: Convolution | nn.Linear, quantization: TensorQuantization, input_scale: float
) -> None:
    """Registers a layer's weight (int8), its scale, and its bias (int32) where it has one."""
    weight, scale = layer.weight.detach(), torch.tensor(quantization.scale)
    bias = frozen_bias(layer)
    if len(scale) != len(weight):
        raise ExportError(
            f"a weight must have one scale per output channel ({len(weight)}), got {len(scale)}: "
            "quantise the finished network's weights"
        )
    if bias is not None:
        # A channel of nearly no weight can have so small a scale that its bias overflows int32: widen the scale
        # instead, which only rounds away weights that are nothing beside that bias.
        scale = torch.maximum(scale, bias.abs() / (input_scale * _LARGEST_BIAS))
    module.register_buffer("weight", quantized_integers(weight, scale, quantization).to(torch.int8))
    module.register_buffer("scale", scale)
    module.register_buffer("weight_zero_point", torch.zeros(len(scale), dtype=torch.int8))
    if bias is None:
        module.register_buffer("bias", None)
        return
    bias_scale = scale * torch.tensor(input_scale)
    module.register_buffer("bias", (bias.double() / bias_scale.double()).round().to(torch.int32))
    module.register_buffer("bias_scale", bias_scale)
    module.register_buffer("bias_zero_point", torch.zeros(len(scale), dtype=torch.int32))


def _dequantized(module: Any, axis: int) -> tuple[Tensor, Tensor | None]:
    """The float weight and bias of a module that `_register_integers` filled; Any, as its buffers are not declared."""
    if is_in_onnx_export():
        weight = _Dequantize.apply(module.weight, module.scale, module.weight_zero_point, axis)
        bias = None
        if module.bias is not None:
            bias = _Dequantize.apply(module.bias, module.bias_scale, module.bias_zero_point, 0)
        return weight, bias
    shape = [-1 if dimension == axis else 1 for dimension in range(module.weight.dim())]
    weight = module.weight.float().mul_(module.scale.reshape(shape))
    return weight, None if module.bias is None else module.bias.float().mul_(module.bias_scale)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, outputs: int) -> Tensor:
    """The linear map by a weight of shape (in, out); the exporter would take the shape's numbers for tensors."""
    if is_in_onnx_export():
        mapped: Tensor = _Linear.apply(x, weight, bias, x.dim(), outputs)
        return mapped
    return functional.linear(x, weight.t(), bias)


class _QuantizeDequantize(torch.autograd.Function):
    """The identity to torch, a pair of QuantizeLinear and DequantizeLinear in an exported file."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:  # Any: torch's context
        return x.clone()

    @staticmethod
    def symbolic(g: Any, x: Any, scale: Any, zero_point: Any) -> Any:  # Any: values of a graph being exported
        integers = g.op("QuantizeLinear", x, scale, zero_point)
        return g.op("DequantizeLinear", integers, scale, zero_point).setType(x.type())


class _Dequantize(torch.autograd.Function):
    """Integers to float, per channel: a DequantizeLinear in an exported file."""

    @staticmethod
    def forward(ctx: Any, integers: Tensor, scale: Tensor, zero_point: Tensor, axis: int) -> Tensor:
        return integers.float()  # The values do not matter while tracing, the type and the shape do.

    @staticmethod
    def symbolic(g: Any, integers: Any, scale: Any, zero_point: Any, axis: int) -> Any:
        type_ = scale.type().with_sizes(integers.type().sizes())
        return g.op("DequantizeLinear", integers, scale, zero_point, axis_i=axis).setType(type_)


class _Linear(torch.autograd.Function):
    """A linear map: a Gemm for vectors, else a MatMul and an Add, in an exported file."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, rank: int, outputs: int) -> Tensor:
        return functional.linear(x, weight.t(), bias)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, rank: int, outputs: int) -> Any:
        has_bias = bias is not None and not bias.node().mustBeNone()
        known = x.type().varyingSizes() or [None] * rank
        type_ = x.type().with_sizes([*known[:-1], outputs])
        if rank == 2:
            inputs = (x, weight, bias) if has_bias else (x, weight)
            return g.op("Gemm", *inputs, transB_i=0).setType(type_)
        product = g.op("MatMul", x, weight).setType(type_)
        return g.op("Add", product, bias).setType(type_) if has_bias else product
