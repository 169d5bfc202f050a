"""Bit-widths per layer: where a network computes in int8, with ranges calibrated on data."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.precision import PrecisionPlan, TensorQuantization
from ..hardware_profiles.profile import Capabilities
from .factorize import is_part_of
from .network import Network, is_addition, is_layer, module_of, only_user
from .site import LeftAlone, Site
from .technique import Decisions, Found

CLIPPED_SHARES = torch.linspace(1.0, 0.4, 16)
"""Shares of the observed range tried as the quantized range."""
MAX_SAMPLES = 8_192
"""Values of a tensor that the range search looks at."""


@dataclass(frozen=True, slots=True)
class Quantize:
    """Offers the bit-widths that the profile says it executes."""

    name: str = "bits"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer, or none on hardware that executes one width only."""
        bits = tuple(sorted(capabilities.weight_bits, reverse=True))
        if len(bits) < 2:
            reason = f"the profile executes {bits[0]} bits only"
            return Found((), tuple(LeftAlone(self.name, layer.name, reason) for layer in network.layers))
        once = [layer.name for layer in network.layers if layer.n_calls == 1]
        shared = [layer.name for layer in network.layers if layer.n_calls > 1]
        return Found(
            tuple(Site(f"{self.name}/{name}", (name,), bits) for name in once),
            tuple(LeftAlone(self.name, name, "it is called in several places") for name in shared),
        )

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Nothing to do: ranges are calibrated on the finished network."""

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing to do: the precision plan is made by `plan_precision` once the module is final."""


def plan_precision(module: fx.GraphModule, decisions: Decisions, calibration: Tensor) -> PrecisionPlan:
    """Scales and zero points for every decided layer, calibrated on data.

    Weights: symmetric, per output channel, by the least squared error over clipped ranges. Activations: affine, per
    tensor, likewise.

    Args:
        module: A finished network (BatchNorm folded).
        decisions: Bits by original layer name.
        calibration: Inputs, shape (n, ...).
    """
    layers = [name for name in _layer_names(module) if any(is_part_of(name, decided) for decided in decisions)]
    if not layers:
        return PrecisionPlan.none()
    points = _points(module, layers)
    ranges = _observe(module, set(points.values()), calibration)
    tensors: dict[str, TensorQuantization] = {}
    for layer in layers:
        weight = module.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        tensors[f"{layer}.weight"] = quantize_weight(weight.detach())
    for name, node in points.items():
        tensors[name] = ranges[node]
    return PrecisionPlan(tensors)


def quantize_weight(weight: Tensor) -> TensorQuantization:
    """Symmetric int8 scales per output channel (axis 0) that minimise the squared error of the weights."""
    flat = weight.reshape(weight.shape[0], -1)
    widest = flat.abs().amax(1).clamp_min(1e-8) / 127.0
    best, least = widest.clone(), torch.full_like(widest, torch.inf)
    for share in CLIPPED_SHARES:
        scale = widest * share
        rounded = (flat / scale[:, None]).round().clamp(-127, 127) * scale[:, None]
        error = (rounded - flat).square().sum(1)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return TensorQuantization(8, tuple(best.tolist()), (0,) * len(best), axis=0, is_signed=True)


def quantize_activation(values: Tensor, low: float, high: float) -> TensorQuantization:
    """Affine uint8 scale and zero point that minimise the squared error of sampled values.

    Args:
        values: A sample of the tensor's values, shape (n,).
        low: Smallest value observed.
        high: Largest value observed.
    """
    # Zero must be representable exactly: padding and clipped ReLUs produce it.
    low, high = min(low, 0.0), max(high, 0.0, min(low, 0.0) + 1e-6)
    # Both ends are clipped by the same share, so that the zero point stays.
    zero_point = min(255, max(0, round(-low / (high - low) * 255.0)))
    scales = (high - low) / 255.0 * CLIPPED_SHARES[:, None]  # (shares, 1)
    restored = ((values / scales).round() + zero_point).clamp(0, 255).sub(zero_point) * scales  # (shares, n)
    best = int((restored - values).square().sum(1).argmin())
    return TensorQuantization(8, (float(scales[best]),), (zero_point,), axis=None, is_signed=False)


def simulate(module: fx.GraphModule, plan: PrecisionPlan) -> fx.GraphModule:
    """The network with its plan's rounding done in float, to compare the runtime's outputs with."""
    simulated = copy.deepcopy(module)
    layers = plan.layers
    for layer in layers:
        weight = simulated.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        with torch.no_grad():
            weight.copy_(_fake_quantize(weight, plan.tensors[f"{layer}.weight"]))
    done: set[fx.Node] = set()
    for name, node in _points(simulated, layers).items():
        if node in done:
            continue
        done.add(node)
        _insert_rounding(simulated, node, name, plan.tensors[name])
    simulated.recompile()
    return simulated


class _Rounding(nn.Module):
    def __init__(self, quantization: TensorQuantization) -> None:
        super().__init__()
        self.quantization = quantization

    def forward(self, x: Tensor) -> Tensor:
        return _fake_quantize(x, self.quantization)


def _insert_rounding(module: fx.GraphModule, node: fx.Node, name: str, quantization: TensorQuantization) -> None:
    target = "rounding_" + name.replace(".", "_")
    module.add_submodule(target, _Rounding(quantization))
    with module.graph.inserting_after(node):
        rounded = module.graph.call_module(target, (node,))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded and user.op != "output")


def _fake_quantize(x: Tensor, quantization: TensorQuantization) -> Tensor:
    shape = [1] * x.dim()
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    scale = torch.tensor(quantization.scale, dtype=x.dtype).reshape(shape)
    zero = torch.tensor(quantization.zero_point, dtype=x.dtype).reshape(shape)
    low, high = (-127, 127) if quantization.is_signed else (0, 255)
    return ((x / scale).round() + zero).clamp(low, high).sub(zero) * scale


def _layer_names(module: fx.GraphModule) -> Iterator[str]:
    return (str(node.target) for node in module.graph.nodes if is_layer(module_of(module, node)))


def _points(module: fx.GraphModule, layers: list[str] | tuple[str, ...]) -> dict[str, fx.Node]:
    """The nodes whose values are quantized, by the name they have in a plan.

    A layer's input, its output behind a fused activation, and the sum of a residual addition of two quantized tensors:
    between int8 layers nothing should have to run in float.
    """
    points: dict[str, fx.Node] = {}
    wanted = set(layers)
    for node in module.graph.nodes:
        if node.op == "call_module" and str(node.target) in wanted:
            points[f"{node.target}.input"] = node.all_input_nodes[0]
            output = _behind_activation(module, node)
            if not _is_model_output(output):
                points[f"{node.target}.output"] = output
    quantized = set(points.values())
    for name, node in list(points.items()):
        addition = only_user(node)
        if name.endswith(".output") and addition is not None and is_addition(addition):
            total = _behind_activation(module, addition)
            if quantized.issuperset(addition.all_input_nodes) and not _is_model_output(total):
                points[name.removesuffix("output") + "merged"] = total
    return points


def _behind_activation(module: fx.GraphModule, node: fx.Node) -> fx.Node:
    """The activation that runtimes fuse into a node, where it is its only reader; else the node itself."""
    user = only_user(node)
    return user if user is not None and isinstance(module_of(module, user), nn.ReLU | nn.ReLU6) else node


def _is_model_output(node: fx.Node) -> bool:
    return any(user.op == "output" for user in node.users)


def _observe(module: fx.GraphModule, nodes: set[fx.Node], calibration: Tensor) -> Mapping[fx.Node, TensorQuantization]:
    """Runs the calibration inputs once and finds the quantized range of each node's values."""
    found: dict[fx.Node, TensorQuantization] = {}

    class Observer(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:  # fx passes values of any type
            value = super().run_node(n)
            if n in nodes:
                flat = value.flatten()
                found[n] = quantize_activation(_sample(flat), float(flat.min()), float(flat.max()))
            return value

    with torch.no_grad():
        Observer(module).run(calibration)
    return found


def _sample(values: Tensor) -> Tensor:
    """At most `MAX_SAMPLES` values. Drawn, because equal steps would meet the same columns of every image."""
    if len(values) <= MAX_SAMPLES:
        return values
    return values[torch.randint(len(values), (MAX_SAMPLES,), generator=torch.Generator().manual_seed(0))]
