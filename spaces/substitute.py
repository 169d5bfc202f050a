"""Other operators: a 3 x 3 convolution gives way to 1 x 1, to a depthwise-separable one or to a Fire module."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.profile import Capabilities
from .factor_layers import padding_on
from .layer_parts import replace_by_parts
from .network import Layer, Network
from .operator_fits import OperatorFit, fit_operator, lost_share
from .operator_shapes import (
    FIRE,
    FULL,
    N_BESIDE,
    POINTWISE,
    SEPARABLE,
    PartShape,
    operator_macs,
    operator_parts,
    parse_operator,
)
from .patch_moments import PatchMoment
from .rank_scheme import CACHE
from .site import Choice, LeftAlone, Site
from .technique import Decisions, Found

SQUEEZED = (2, 4, 8)
"""By which the channels in front of a Fire module are divided to those in its middle, on the channel grid."""
LEAST_KERNEL = 3


@dataclass(frozen=True, slots=True)
class Substitute:
    """Offers, per convolution, the operators that take fewer multiply-accumulates than it."""

    name: str = "operator"

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer that has a cheaper operator; the reason for each that has none."""
        whole = _layers_in_single_channels(network)
        sites, left_alone = [], []
        for layer in network.layers:
            module = network.module.get_submodule(layer.name)
            reason = obstacle(layer, module)
            kinds = [] if reason else _kinds(layer, module, can_be_halved=layer.name in whole)
            choices = _choices(layer, kinds, capabilities.channel_grid)
            if choices:
                sites.append(Site(f"{self.name}/{layer.name}", (layer.name,), (FULL, *choices)))
            else:
                reason = reason or "no operator takes fewer multiply-accumulates"
                left_alone.append(LeftAlone(self.name, layer.name, reason))
        return Found(tuple(sites), tuple(left_alone))

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Replaces each decided layer by the layers of its operator, each a node of the graph."""
        for name, choice in decisions.items():
            layer, original = module.get_submodule(name), network.module.get_submodule(name)
            assert isinstance(layer, nn.Conv2d)
            assert isinstance(original, nn.Conv2d)
            moment = network.patch_moments.get(name)
            # Another technique may have been at the weights before.
            is_original = torch.equal(original.weight, layer.weight)
            fit = _fit(original if is_original else layer, str(choice), moment)
            parts = build_operator(layer, str(choice), fit, moment)
            replace_by_parts(module, name, parts, N_BESIDE[parse_operator(str(choice))[0]])
        if decisions:
            module.recompile()

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Nothing is left to do: the operators are what is deployed."""


def operator_losses(layer: nn.Module, moment: PatchMoment | None, choices: tuple[Choice, ...]) -> dict[Choice, float]:
    """Share of the variance of a layer's outputs that each operator loses before any training."""
    assert isinstance(layer, nn.Conv2d)
    metric = None if moment is None else moment.covariance
    return {choice: lost_share(layer.weight, _fit(layer, str(choice), moment), metric) for choice in choices}


def operator_weight(layer: nn.Module, choice: str, moment: PatchMoment | None) -> Tensor:
    """The weight of the one convolution that computes what an operator in its place would, float64."""
    assert isinstance(layer, nn.Conv2d)
    return _fit(layer, choice, moment).product


def build_operator(layer: nn.Conv2d, choice: str, fit: OperatorFit, moment: PatchMoment | None) -> list[nn.Conv2d]:
    """The layers of an operator in the order in which they run; those that give the outputs have a bias.

    Where the patches are known, the bias makes up for what the operator's weights miss on average. The layer may have
    none because a BatchNorm follows: into that the operator's is folded, and costs nothing.

    Args:
        layer: The layer that they replace, from which they take stride, padding, dilation, precision and device.
        choice: The operator.
        fit: Its weights.
        moment: Of the layer's patches.
    """
    weight = layer.weight.detach()
    bias = weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
    if moment is not None:
        bias = bias + ((weight.double() - fit.product).flatten(1) @ moment.mean).to(bias)
    shapes = operator_parts(choice, layer.in_channels, layer.out_channels)
    n_silent = len(shapes) - N_BESIDE[parse_operator(choice)[0]]
    biases = [None] * n_silent + list(torch.split(bias, [shape.out_channels for shape in shapes[n_silent:]]))
    return [_build(layer, *each) for each in zip(shapes, fit.weights, biases, strict=True)]


def fitting_layers(network: Network, most_inputs: int) -> list[str]:
    """The layers whose patches an operator is fitted on, those with at most so many inputs under their kernel."""
    return [
        layer.name
        for layer in network.layers
        if not obstacle(layer, network.module.get_submodule(layer.name))
        and layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1] <= most_inputs
    ]


def obstacle(layer: Layer, module: nn.Module) -> str:
    """Why a layer has no other operators; empty where it may have."""
    if layer.n_calls > 1:
        return "its weight is used in several places"
    if not isinstance(module, nn.Conv2d):
        return "only two-dimensional convolutions have other operators"
    if layer.groups > 1:
        return "convolutions in groups have no other operators"
    if min(layer.kernel_size) < LEAST_KERNEL:
        return f"its kernel is smaller than {LEAST_KERNEL} x {LEAST_KERNEL}"
    if isinstance(padding_on(module, (0, 1)), str):
        return "its padding differs between the two sides"
    return ""


def _fit(layer: nn.Conv2d, choice: str, moment: PatchMoment | None) -> OperatorFit:
    """The weights of an operator; computed once per weight and choice: a search asks for the same ones again."""
    weight, metric = layer.weight.detach(), None if moment is None else moment.covariance
    return CACHE.get(layer.weight, f"operator {choice}", lambda: fit_operator(weight, choice, metric), metric)


def _kinds(layer: Layer, module: nn.Module, *, can_be_halved: bool) -> list[str]:
    """The operators that give outputs of the same shape."""
    assert isinstance(module, nn.Conv2d)
    # One channel has no kernel of its own beside others: it would be a plain convolution.
    kinds = [SEPARABLE] if layer.in_channels > 1 else []
    spans = [step * (size - 1) for step, size in zip(module.dilation, module.kernel_size, strict=True)]
    # In the place of a kernel that is padded otherwise 1 x 1 would give outputs of another size.
    is_centred = padding_on(module, (0, 1)) == tuple(span // 2 for span in spans) and not any(
        span % 2 for span in spans
    )
    if is_centred and all(size % 2 for size in module.kernel_size):
        kinds += [POINTWISE, *([FIRE] if can_be_halved and layer.out_channels > 1 else [])]
    return kinds


def _choices(layer: Layer, kinds: list[str], grid: int) -> list[str]:
    """What is worth offering, from many multiply-accumulates to few."""
    squeezed = {max(grid, round(layer.in_channels / each / grid) * grid) for each in SQUEEZED}
    fires = [f"{FIRE}:{each}" for each in sorted(squeezed) if each < layer.in_channels]
    names = [name for kind in kinds for name in (fires if kind == FIRE else [kind])]
    sizes = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.n_positions)
    macs = {name: operator_macs(name, *sizes) for name in names}
    return sorted((name for name in names if macs[name] < layer.macs), key=lambda name: (-macs[name], name))


def _layers_in_single_channels(network: Network) -> set[str]:
    """The layers that lose channels one by one, or none: their outputs can come from two layers, half from each."""
    coupled = {
        name
        for group in network.channels.groups
        for name in group.producers
        if group.step > 1 or any(len(classes) < group.n_classes for classes in group.classes.values())
    }
    return {layer.name for layer in network.layers} - coupled


def _build(layer: nn.Conv2d, shape: PartShape, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """One layer of an operator, without the usual random weights, whose drawing would disturb the global generator."""
    padding = padding_on(layer, (0, 1) if shape.has_kernel else ())
    part = nn.Conv2d(
        shape.in_channels,
        shape.out_channels,
        layer.kernel_size if shape.has_kernel else 1,  # type: ignore[arg-type]  # two numbers
        layer.stride if shape.has_stride else 1,  # type: ignore[arg-type]  # likewise
        padding,  # type: ignore[arg-type]  # likewise
        layer.dilation if shape.has_kernel else 1,  # type: ignore[arg-type]  # likewise
        shape.groups,
        bias is not None,
        layer.padding_mode if shape.has_kernel else "zeros",
        device="meta",
        dtype=layer.weight.dtype,
    ).to_empty(device=str(layer.weight.device))
    with torch.no_grad():
        part.weight.copy_(weight.reshape(part.weight.shape))
        if part.bias is not None and bias is not None:
            part.bias.copy_(bias)
    return part
