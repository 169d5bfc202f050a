"""Bias correction: what rounding adds to a layer's outputs on average is taken from its bias.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2; with
the means observed on data instead of derived from BatchNorm.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.export.lowering import lower
from ..hardware_profiles.precision import PrecisionPlan
from .network import is_layer
from .observe import BATCH, run_observed


def correct_biases(module: fx.GraphModule, plan: PrecisionPlan, calibration: Tensor | tuple[Tensor, ...]) -> None:
    """Corrects, in place, the biases of the layers in few bits; one run in float and one with rounding.

    Layers are corrected in the order in which they run, each on inputs that the corrected layers before it give.

    Args:
        module: A finished network; a layer without bias gets one.
        plan: Its precision.
        calibration: Inputs, shape (n, ...), or one such tensor per input; the first `observe.BATCH` are used.
    """
    layers = {*plan.layers, *plan.weight_only_layers}
    if not layers:
        return
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    inputs = tuple(each[:BATCH] for each in inputs)
    means: dict[str, Tensor] = {}

    def look(node: fx.Node, value: Any) -> None:  # fx passes values of any type
        if node.op == "call_module" and str(node.target) in layers:
            means[str(node.target)] = _channel_means(value, module.get_submodule(str(node.target)))

    run_observed(module, inputs, look)
    for name, shift in _shifts(module, plan, inputs, means).items():
        layer = module.get_submodule(name)
        assert is_layer(layer)
        with torch.no_grad():
            bias = torch.zeros_like(shift) if layer.bias is None else layer.bias
            layer.bias = nn.Parameter(bias + shift.to(bias.dtype), requires_grad=layer.weight.requires_grad)


def _shifts(
    module: fx.GraphModule, plan: PrecisionPlan, inputs: tuple[Tensor, ...], means: dict[str, Tensor]
) -> dict[str, Tensor]:
    """What to add to each layer's bias, by layer."""
    found: dict[str, Tensor] = {}

    class Corrector(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
            value = super().run_node(n)
            name = str(n.target)
            if n.op != "call_module" or name not in means:
                return value
            layer = module.get_submodule(name)
            found[name] = means[name] - _channel_means(value, layer)
            axis = _channel_axis(value, layer)
            return value + found[name].reshape([-1 if each == axis else 1 for each in range(value.dim())])

    with torch.no_grad():
        Corrector(lower(module, plan)).run(*inputs)
    return found


def _channel_axis(value: Tensor, layer: nn.Module) -> int:
    return value.dim() - 1 if isinstance(layer, nn.Linear) else 1


def _channel_means(value: Tensor, layer: nn.Module) -> Tensor:
    axis = _channel_axis(value, layer)
    return value.mean([each for each in range(value.dim()) if each != axis])
