"""A network and a configuration become a trainable module, and the trained module becomes what is deployed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, fx, nn

from ..hardware_profiles.precision import PrecisionPlan, TensorQuantization
from ..packing import StoredWeight
from .chain import is_foldable_norm
from .configuration import Configuration
from .encode import Encode, Stored, encode_layers, put_stored
from .factorize import Factorize
from .fold import Fold
from .linearise import set_linearity
from .merge import folded_parameters, norm_factor
from .network import Network, is_layer, module_of, n_calls, only_user, replace_module
from .options import DEFAULT_OPTIONS, CompressionOptions
from .prune import Prune
from .quantize import Quantize, quantize
from .site import Choice
from .sparsify import Sparsify, sparse_layers
from .substitute import Substitute
from .technique import Technique

TECHNIQUES: tuple[Technique, ...] = (Fold(), Substitute(), Factorize(), Prune(), Quantize(), Sparsify(), Encode())
"""In the order in which they are applied: fold, substitute or factorise, then prune, then what is left in few bits."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What is deployed.

    Attributes:
        module: In float, without BatchNorm.
        plan: Where it computes in low precision.
        stored: What is stored of weights in few bits, by layer: the module's are what they decode to.
        configuration: What it was made by.
    """

    module: fx.GraphModule
    plan: PrecisionPlan
    stored: Stored = field(default_factory=dict)
    configuration: Configuration = field(default_factory=Configuration)


def prepare(network: Network, configuration: Configuration) -> fx.GraphModule:
    """The compressed network in trainable form: activations linearisable, padding moved, factorised, pruned.

    With a neutral configuration the outputs are bit-identical to the network's.

    Args:
        network: The traced network; not touched.
        configuration: A canonical configuration of its space.
    """
    module = copy.deepcopy(network.module)
    for technique in TECHNIQUES:
        technique.prepare(module, decisions_of(configuration, technique.name), network)
    return module.eval()


def finish(
    module: fx.GraphModule,
    configuration: Configuration,
    calibration: Tensor | tuple[Tensor, ...],
    options: CompressionOptions = DEFAULT_OPTIONS,
    ranges: Mapping[str, TensorQuantization] | None = None,
    stored: Stored | None = None,
    sparse_density: float = 0.0,
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
        stored: Codes that layers were trained in, by their names in the module; the others are coded now.
        sparse_density: What the hardware has of it, see `Capabilities`.
    """
    module = copy.deepcopy(module).eval()
    set_linearity(module, 1.0)
    known = dict(stored or {})
    coded = {**encode_layers(module, decisions_of(configuration, Encode().name), known), **known}
    factors = _merge(module, configuration)
    coded = {name: each.scaled(factors[name]) if name in factors else each for name, each in coded.items()}
    put_stored(module, coded)
    plan = quantize(
        module,
        decisions_of(configuration, Quantize().name),
        calibration,
        options.ranges,
        has_bias_correction=options.has_bias_correction,
        ranges=ranges,
        kept=coded,
    )
    in_few_bits = {*plan.layers, *plan.weight_only_layers, *plan.halves}
    sparse = sparse_layers(module, decisions_of(configuration, Sparsify().name), sparse_density, in_few_bits)
    return Finished(module, replace(plan, sparse=sparse), coded, configuration)


def merge(module: fx.GraphModule, configuration: Configuration) -> fx.GraphModule:
    """The float network that is deployed: folded activations linear, layers merged, BatchNorm folded.

    Weights that are stored in few bits are as they were, see `finish`.

    Args:
        module: From `prepare`, trained or not; not touched.
        configuration: The one it was prepared with.
    """
    module = copy.deepcopy(module).eval()
    set_linearity(module, 1.0)
    _merge(module, configuration)
    return module


def encode(module: fx.GraphModule, configuration: Configuration) -> dict[str, StoredWeight]:
    """Gives layers that are stored in few bits, in place, the weights that these hold; their codes, for `finish`.

    Args:
        module: From `prepare`, trained or not.
        configuration: The one it was prepared with.
    """
    return encode_layers(module, decisions_of(configuration, Encode().name))


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


def decisions_of(configuration: Configuration, technique: str) -> dict[str, Choice]:
    """The choices that a configuration has of one technique, by the layer that names the site."""
    prefix = f"{technique}/"
    return {site.removeprefix(prefix): choice for site, choice in configuration.items() if site.startswith(prefix)}


def _merge(module: fx.GraphModule, configuration: Configuration) -> dict[str, Tensor]:
    """Merges layers in place; what BatchNorms multiplied each output channel by, by layer, shape (out,)."""
    for technique in TECHNIQUES:
        technique.finish(module, decisions_of(configuration, technique.name))
    return _fold_batch_norms(module)


def _fold_batch_norms(module: fx.GraphModule) -> dict[str, Tensor]:
    """Folds every BatchNorm behind a convolution or linear layer into it, in float64; their factors."""
    factors: dict[str, Tensor] = {}
    nodes: list[fx.Node] = list(module.graph.nodes)
    for node in nodes:
        norm = norm_behind(module, node)
        if norm is None:
            continue
        layer = module.get_submodule(str(node.target))
        weight, bias = folded_parameters(layer, module_of(module, norm))
        factors[str(node.target)] = norm_factor(module_of(module, norm))
        folded = copy.deepcopy(layer)
        assert is_layer(folded)
        # Removed weights stay zeros, and become no negative ones, behind a norm that turns a channel round.
        folded.weight = nn.Parameter(weight.reshape(folded.weight.shape).to(folded.weight.dtype) + 0.0)
        folded.bias = nn.Parameter(bias.to(folded.weight.dtype))
        replace_module(module, str(node.target), folded)
        norm.replace_all_uses_with(node)
        module.graph.erase_node(norm)
    module.recompile()
    module.delete_all_unused_submodules()
    return factors
