"""A network and a configuration become a trainable module, and the trained module becomes what is deployed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.precision import PrecisionPlan, TensorQuantization
from .chain import is_foldable_norm
from .configuration import Configuration
from .factorize import Factorize
from .fold import Fold
from .linearise import set_linearity
from .merge import folded_parameters
from .network import Network, is_layer, module_of, n_calls, only_user, replace_module
from .options import DEFAULT_OPTIONS, CompressionOptions
from .prune import Prune
from .quantize import Quantize, quantize
from .site import Choice
from .technique import Technique

TECHNIQUES: tuple[Technique, ...] = (Fold(), Factorize(), Prune(), Quantize())
"""In the order in which they are applied: fold or factorise first, then prune, and quantize last."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What is deployed: a float module without BatchNorm, and where it computes in low precision."""

    module: fx.GraphModule
    plan: PrecisionPlan


def prepare(network: Network, configuration: Configuration) -> fx.GraphModule:
    """The compressed network in trainable form: activations linearisable, padding moved, factorised, pruned.

    With a neutral configuration the outputs are bit-identical to the network's.

    Args:
        network: The traced network; not touched.
        configuration: A canonical configuration of its space.
    """
    module = copy.deepcopy(network.module)
    for technique in TECHNIQUES:
        technique.prepare(module, _decisions(configuration, technique.name), network)
    return module.eval()


def finish(
    module: fx.GraphModule,
    configuration: Configuration,
    calibration: Tensor | tuple[Tensor, ...],
    options: CompressionOptions = DEFAULT_OPTIONS,
    ranges: Mapping[str, TensorQuantization] | None = None,
) -> Finished:
    """The deployable form: folded activations made linear, layers merged, BatchNorm folded, ranges calibrated.

    With a neutral configuration the outputs agree with the prepared module's to 1e-5.

    Args:
        module: From `prepare`, trained or not; not touched.
        configuration: The one it was prepared with.
        calibration: Training inputs, shape (n, ...), or one such tensor per input.
        options: How ranges are calibrated.
        ranges: Quantisations of values that the network was trained in, by their names in the plan: these are kept,
            the others calibrated.
    """
    module = merge(module, configuration)
    plan = quantize(
        module,
        _decisions(configuration, Quantize().name),
        calibration,
        options.ranges,
        has_bias_correction=options.has_bias_correction,
        ranges=ranges,
    )
    return Finished(module, plan)


def merge(module: fx.GraphModule, configuration: Configuration) -> fx.GraphModule:
    """The float network that is deployed: folded activations linear, layers merged, BatchNorm folded.

    Args:
        module: From `prepare`, trained or not; not touched.
        configuration: The one it was prepared with.
    """
    module = copy.deepcopy(module).eval()
    set_linearity(module, 1.0)
    for technique in TECHNIQUES:
        technique.finish(module, _decisions(configuration, technique.name))
    _fold_batch_norms(module)
    return module


def norm_behind(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The BatchNorm that is folded into the layer that a node calls, or None."""
    norm = only_user(node)
    if norm is None or not is_layer(module_of(module, node)) or n_calls(module, node) > 1:
        return None
    return norm if is_foldable_norm(module_of(module, norm)) else None


def reestimate_batch_norm(module: nn.Module, calibration: Tensor, n_batches: int = 4) -> None:
    """Sets the running statistics of every BatchNorm, in place, to those of the calibration inputs."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    if not norms:
        return
    were = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # None makes it the plain average over batches
        norm.train()  # alone: dropout would add noise
    with torch.no_grad():
        for batch in calibration.chunk(n_batches):
            module(batch)
    for norm, (momentum, was_training) in zip(norms, were, strict=True):
        norm.momentum = momentum
        norm.train(was_training)


def _decisions(configuration: Configuration, technique: str) -> dict[str, Choice]:
    prefix = f"{technique}/"
    return {site.removeprefix(prefix): choice for site, choice in configuration.items() if site.startswith(prefix)}


def _fold_batch_norms(module: fx.GraphModule) -> None:
    """Folds every BatchNorm behind a convolution or linear layer into it, in float64."""
    nodes: list[fx.Node] = list(module.graph.nodes)
    for node in nodes:
        norm = norm_behind(module, node)
        if norm is None:
            continue
        layer = module.get_submodule(str(node.target))
        weight, bias = folded_parameters(layer, module_of(module, norm))
        folded = copy.deepcopy(layer)
        assert is_layer(folded)
        folded.weight = nn.Parameter(weight.reshape(folded.weight.shape).to(folded.weight.dtype))
        folded.bias = nn.Parameter(bias.to(folded.weight.dtype))
        replace_module(module, str(node.target), folded)
        norm.replace_all_uses_with(node)
        module.graph.erase_node(norm)
    module.recompile()
    module.delete_all_unused_submodules()
