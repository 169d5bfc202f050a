"""Bit-widths per layer: where a network computes in half precision or int8, or holds its weights in few bits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.export.half_precision import half_dtype
from ..hardware_profiles.export.quantized_layers import quantized_integers
from ..hardware_profiles.export.sizes import asks_for_size
from ..hardware_profiles.export.weight_only import block_integers, weight_blocks
from ..hardware_profiles.precision import HALVES, Half, PrecisionPlan, TensorQuantization
from ..hardware_profiles.profile import Capabilities
from .bias_correction import correct_biases
from .equalise import equalise
from .factorize import is_part_of
from .half_range import check_half_range
from .network import Layer, Network, is_layer, module_of
from .observe import observe_ranges
from .quantized_values import quantized_values
from .ranges import DEFAULT_METHOD, least_error_scales, quantize_weight
from .site import Choice, LeftAlone, Site
from .technique import Decisions, Found

WEIGHT_ONLY_BLOCK = 32
"""Inputs that share a scale in a weight-only layer."""
WEIGHT_ONLY_FROM = 64
"""Least inputs of a layer that is offered weight-only: below, the arithmetic is not what takes the time."""
_INT8 = 8


@dataclass(frozen=True, slots=True)
class Quantize:
    """Offers the widths that the profile says it executes: `bf16` and `fp16`, 8 (in int8), `w8` and `w4` (weights)."""

    name: str = "bits"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer that may have more than one width; the reason for each that may not."""
        sites, left_alone = [], []
        ends = input_layers(network) | network.output_layers
        for layer in network.layers:
            module = network.module.get_submodule(layer.name)
            choices = _choices(layer, module, capabilities, is_end=layer.name in ends)
            reason = _reason_against(layer, module, choices)
            if reason:
                left_alone.append(LeftAlone(self.name, layer.name, reason))
            else:
                sites.append(Site(f"{self.name}/{layer.name}", (layer.name,), choices))
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Nothing to do: ranges are calibrated on the finished network."""

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing to do: the precision plan is made by `plan_precision` once the module is final."""


def input_layers(network: Network) -> frozenset[str]:
    """Names of the layers that an input of the network reaches without another layer between."""
    found: set[str] = set()
    reached = {node for node in network.module.graph.nodes if node.op == "placeholder"}
    for node in network.module.graph.nodes:
        if reached.intersection(node.all_input_nodes) and not asks_for_size(node):
            if is_layer(module_of(network.module, node)):
                found.add(str(node.target))
            else:
                reached.add(node)
    return frozenset(found)


def weight_only_bits(choice: Choice) -> int | None:
    """Bits of a weight-only choice such as `w4`; None for other choices."""
    return int(choice[1:]) if isinstance(choice, str) and choice.startswith("w") else None


def half_of(choice: Choice) -> Half | None:
    """The type of a half-precision choice; None for other choices."""
    return next((half for half in HALVES if half == choice), None)


def bits_per_weight(choice: Choice) -> float:
    """Bits that a choice stores for each weight, the scales of blocks included."""
    if half_of(choice) is not None:
        return 16.0
    bits = weight_only_bits(choice)
    return float(choice) if bits is None else bits + 32 / WEIGHT_ONLY_BLOCK


def quantize(
    module: fx.GraphModule,
    decisions: Decisions,
    calibration: Tensor | tuple[Tensor, ...],
    calibration_method: str = DEFAULT_METHOD,
    *,
    has_bias_correction: bool = False,
    ranges: Mapping[str, TensorQuantization] | None = None,
    kept: Collection[str] = (),
) -> PrecisionPlan:
    """Brings a finished network to its bit-widths in place: equalises, calibrates, and corrects the biases if asked.

    The float network computes what it did, but for corrected biases, which make up for what rounding adds on average.

    Args:
        module: A finished network (BatchNorm folded).
        decisions: Bits by original layer name.
        calibration: Inputs, shape (n, ...), or one such tensor per input.
        calibration_method: One of `ranges.method_names`.
        has_bias_correction: Whether to correct biases: two more passes over some of the calibration data.
        ranges: Quantisations of values, by their names in the plan, that are kept instead of calibrated. Nothing is
            equalised then, which would change the values.
        kept: Layers whose weights must stay as they are.

    Raises:
        SpaceError: The method is unknown, or values are too large for fp16.
    """
    if not ranges:
        in_int8 = {name for name, choice in decided_layers(module, decisions) if choice == _INT8}
        equalise(module, in_int8.difference(kept))
    plan = plan_precision(module, decisions, calibration, calibration_method, ranges)
    if has_bias_correction:
        correct_biases(module, plan, calibration)
    return plan


def plan_precision(
    module: fx.GraphModule,
    decisions: Decisions,
    calibration: Tensor | tuple[Tensor, ...],
    calibration_method: str = DEFAULT_METHOD,
    ranges: Mapping[str, TensorQuantization] | None = None,
) -> PrecisionPlan:
    """Scales and zero points for every layer decided to be in integers, calibrated on data.

    Weights: symmetric, per output channel or per block, by the least squared error over clipped ranges. Activations:
    affine, per tensor, by the given method. Half precision needs no scales; for fp16 the data tell whether it suffices.

    Args:
        module: A finished network (BatchNorm folded).
        decisions: Bits by original layer name.
        calibration: Inputs, shape (n, ...), or one such tensor per input.
        calibration_method: One of `ranges.method_names`.
        ranges: Quantisations of values, by their names in the plan, that are kept instead of calibrated.

    Raises:
        SpaceError: The method is unknown, or values are too large for fp16.
    """
    chosen = dict(decided_layers(module, decisions))
    halves = {name: half for name, choice in chosen.items() if (half := half_of(choice)) is not None}
    tensors = {f"{name}.weight": _weight(module, name, choice) for name, choice in chosen.items() if name not in halves}
    values = quantized_values(module, {name for name, choice in chosen.items() if choice == _INT8})
    inputs = calibration if isinstance(calibration, tuple) else (calibration,)
    known = {source: kept for source in values.values() if (kept := (ranges or {}).get(f"{source.name}.value"))}
    found = observe_ranges(module, set(values.values()) - set(known), inputs, calibration_method)
    tensors |= {f"{node.name}.value": {**found, **known}[source] for node, source in values.items()}
    plan = PrecisionPlan(tensors, halves)
    check_half_range(module, plan, inputs)
    return plan


def quantize_blocks(weight: Tensor, bits: int, block_size: int = WEIGHT_ONLY_BLOCK) -> TensorQuantization:
    """Symmetric scales per block of inputs of each output channel that minimise the squared error of the weights.

    Args:
        weight: Shape (out, in).
        bits: 4 or 8.
        block_size: Inputs that share a scale.
    """
    blocks = weight_blocks(weight, block_size).flatten(0, 1)
    half = 1 << (bits - 1)
    scale = least_error_scales(blocks, highest=half - 1, lowest=-half)
    return TensorQuantization(bits, tuple(scale.tolist()), (0,), axis=0, is_signed=True, block_size=block_size)


def round_weight(weight: Tensor, choice: Choice) -> Tensor:
    """A weight as it is stored under a choice of bits, back in float: same shape."""
    half = half_of(choice)
    if half is not None:
        return weight.to(half_dtype(half)).to(weight.dtype)
    bits = weight_only_bits(choice)
    quantization = quantize_weight(weight) if bits is None else quantize_blocks(weight, bits)
    scale = torch.tensor(quantization.scale)
    if quantization.block_size is None:
        broad = scale.reshape(-1, *[1] * (weight.dim() - 1))
        return quantized_integers(weight, scale, quantization) * broad
    integers = block_integers(weight, quantization)
    return (integers * scale.reshape(*integers.shape[:2], 1)).flatten(1)[:, : weight.shape[1]]


def _choices(layer: Layer, module: nn.Module, capabilities: Capabilities, *, is_end: bool) -> tuple[Choice, ...]:
    """From the neutral width to the smallest; first and last layers lose most in few bits and win least."""
    weight_only: list[int] = []
    if layer.kind == "linear" and layer.in_channels >= WEIGHT_ONLY_FROM and not is_end:
        weight_only = sorted(capabilities.weight_only_bits, reverse=True)
    halves = [half for half in capabilities.weight_bits if half in HALVES]
    wide: list[Choice] = [f"w{bits}" for bits in weight_only if bits >= _INT8]
    narrow: list[Choice] = [f"w{bits}" for bits in weight_only if bits < _INT8]
    has_int8 = _INT8 in capabilities.weight_bits and not _obstacle(layer, module)
    return (32, *halves, *wide, *([_INT8] if has_int8 else []), *narrow)


def _reason_against(layer: Layer, module: nn.Module, choices: tuple[Choice, ...]) -> str:
    if layer.n_calls > 1:
        return "it is called in several places"
    return "" if len(choices) > 1 else _obstacle(layer, module) or "the profile executes 32 bits only"


def _obstacle(layer: Layer, module: nn.Module) -> str:
    """Why runtimes would not execute a layer in int8."""
    if layer.kind == "transposed":
        return "runtimes execute no transposed convolution in int8"
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return "runtimes execute int8 convolutions with zero padding only"
    return ""


def decided_layers(module: fx.GraphModule, decisions: Decisions) -> Iterator[tuple[str, Choice]]:
    """The layers of a finished network, each with the choice for the layer that it is, or is a factor of."""
    for node in module.graph.nodes:
        if is_layer(module_of(module, node)):
            for decided, choice in decisions.items():
                if is_part_of(str(node.target), decided):
                    yield str(node.target), choice


def _weight(module: nn.Module, name: str, choice: Choice) -> TensorQuantization:
    weight = module.get_submodule(name).weight
    assert isinstance(weight, Tensor)
    bits = weight_only_bits(choice)
    return quantize_weight(weight.detach()) if bits is None else quantize_blocks(weight.detach(), bits)
