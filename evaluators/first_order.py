"""What every choice of every site alone does to the outputs, to first order: a forward, a few backward passes.

A choice changes what some modules read or give; the derivatives of the outputs by it say what that does to them. So
the whole table costs less than measuring a handful of choices one by one (`output_divergence.py`), and is on the same
scale: the share of the outputs' energy that no scaling of them brings back. Where the changes are small it agrees with
what is measured; where they are large it still puts the choices into nearly the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..spaces import Choice, Network, SearchSpace, Site
from ..spaces.channel_removal import removal_order
from ..spaces.compress import norm_behind
from ..spaces.fold import folded_activations
from ..spaces.quantize import round_weight
from ..spaces.rank_scheme import Source
from ..spaces.rank_schemes import split_layer
from ..spaces.sparsify import without_smallest
from ..spaces.substitute import operator_weight
from ..spaces.weight_codes import code_weight
from .gradient_taps import Tap, Taps, tap
from .output_divergence import N_INPUTS, divergence
from .sensitivity import Damages

_Effect = Tensor
"""What a choice does to the projected outputs, shape (n, projections)."""


def first_order_divergences(
    network: Network, space: SearchSpace, inputs: Tensor, progress: Callable[[int, int], None] | None = None
) -> Damages:
    """Estimates of what `OutputDivergence` measures, between 0 and 1, by site and choice, 0 for neutral ones.

    Args:
        network: Traced; not touched.
        space: Of this network.
        inputs: Training inputs, shape (n, ...); the first `N_INPUTS` are used.
        progress: Called with the sites that are done and all of them.

    Returns:
        Nothing where the outputs are no tensor or have no derivatives.
    """
    activations = {name for site in space.sites if site.technique == "fold" for name in _activations(network, site)}
    taps = tap(network.module, inputs[:N_INPUTS], {layer.name for layer in network.layers} | activations)
    if taps is None:
        return {}
    effects, found = _Effects(network, taps), {}
    for done, site in enumerate(space.sites, 1):
        with torch.no_grad():
            of_choices = {choice: effects.of(site, choice) for choice in site.choices[1:]}
        divergences = {choice: _limited(divergence(taps.outputs, effect)) for choice, effect in of_choices.items()}
        found[site.name] = {site.neutral: 0.0, **divergences}
        if progress is not None:
            progress(done, len(space.sites))
    return found


class _Effects:
    """Of choices on the outputs."""

    def __init__(self, network: Network, taps: Taps) -> None:
        self._network, self._taps = network, taps
        self._none = torch.zeros_like(taps.outputs)
        self._reads: dict[str, Tensor] = {}
        self._removals: dict[str, Tensor] = {}
        nodes = [node for node in network.module.graph.nodes if node.op == "call_module"]
        self._normed = {str(node.target) for node in nodes if norm_behind(network.module, node) is not None}
        self._of: Mapping[str, Callable[[Site, Choice], _Effect]] = {
            "fold": self._of_fold,
            "prune": self._of_removal,
            "operator": self._of_layer,
            "rank": self._of_layer,
            "bits": self._of_layer,
            "sparsity": self._of_layer,
            "code": self._of_layer,
        }

    def of(self, site: Site, choice: Choice) -> _Effect:
        """What a choice does that is not neutral."""
        return self._of[site.technique](site, choice)

    def _of_layer(self, site: Site, choice: Choice) -> _Effect:
        """Of other weights, or other layers in the place of one."""
        changed = _changed_layer(self._network, site, choice)
        are_integers = site.technique == "bits" and isinstance(choice, int)
        effect = self._none
        for call in self._taps.calls[site.layer]:
            read = _rounded(call.inputs, int(choice)) if are_integers else call.inputs
            effect = effect + call.effect(changed(read) - call.outputs)
        return effect

    def _of_removal(self, site: Site, choice: Choice) -> _Effect:
        """Of channels that are no longer read."""
        if site.layer not in self._removals:
            self._removals[site.layer] = self._by_removed(site.layer)
        step = next(group.step for group in self._network.channels.groups if site.layer in group.producers)
        of_first = self._removals[site.layer]
        n_removed = min((int(site.neutral) - int(choice)) // step, of_first.shape[2])
        return -of_first[:, :, n_removed - 1]

    def _by_removed(self, layer: str) -> Tensor:
        """What the channels of a group that go first add to the outputs, shape (n, projections, how many of them)."""
        order = removal_order(self._network, layer)
        place = np.full(self._network.follower.map.n_channels, len(order))
        for position, numbers in enumerate(order):
            place[numbers] = position
        effects = self._none.new_zeros((*self._none.shape, len(order) + 1))  # the last is of those that stay
        for holder in self._network.follower.map.holders:
            places = torch.from_numpy(place[holder.numbers])
            if holder.role == "in" and (places < len(order)).any():
                effects.index_add_(2, places, self._by_channel(holder.name))
        return effects[:, :, :-1].cumsum(2)

    def _by_channel(self, layer: str) -> Tensor:
        """What each channel that a layer reads adds to the outputs, shape (n, projections, channels)."""
        if layer not in self._reads:
            axis = _channel_axis(self._network.module.get_submodule(layer))
            has_norm = layer in self._normed
            effects = [_channel_effects(call, axis, has_norm) for call in self._taps.calls[layer]]
            self._reads[layer] = torch.stack(effects).sum(0)
        return self._reads[layer]

    def _of_fold(self, site: Site, choice: Choice) -> _Effect:
        """Of activations that become linear; what follows them re-estimates the mean and the scale of each channel."""
        effect, axis = self._none, _channel_axis(self._network.module.get_submodule(site.layer))
        for name in folded_activations(self._network.module, site.layer, choice):
            for call in self._taps.calls[name]:
                read, given = _centred(call.inputs, axis), _centred(call.outputs, axis)
                scale = _rms(given, axis) / _rms(read, axis).clamp_min(torch.finfo(read.dtype).tiny)
                effect = effect + call.effect(scale * read - given)
        return effect


def _activations(network: Network, site: Site) -> set[str]:
    return {name for choice in site.choices[1:] for name in folded_activations(network.module, site.layer, choice)}


def _changed_layer(network: Network, site: Site, choice: Choice) -> Callable[[Tensor], Tensor]:
    """What stands in the place of a layer."""
    layer = network.module.get_submodule(site.layer)
    if site.technique == "rank":
        return nn.Sequential(*split_layer(layer, str(choice), Source(layer, network.input_moments.get(site.layer))))
    if site.technique == "operator":
        weight = operator_weight(layer, str(choice), network.patch_moments.get(site.layer))
    else:
        weight = _STORED[site.technique](Source(layer).weight.detach(), choice)
    return partial(_with_weight, layer, weight.to(Source(layer).weight))


_STORED: Mapping[str, Callable[[Tensor, Choice], Tensor]] = {
    "bits": round_weight,
    "sparsity": lambda weight, choice: without_smallest(weight, int(choice)),
    "code": lambda weight, choice: code_weight(weight, str(choice)).decode(),
}
"""What is left of a weight, by technique."""


def _with_weight(layer: nn.Module, weight: Tensor, read: Tensor) -> Tensor:
    given: Tensor = functional_call(layer, {"weight": weight}, (read,))
    return given


def _rounded(read: Tensor, bits: int) -> Tensor:
    """Values rounded to as many evenly spaced levels as so many bits have, between the least and the greatest."""
    low, high = read.amin(), read.amax()
    step = ((high - low) / (2**bits - 1)).clamp_min(torch.finfo(read.dtype).tiny)
    rounded: Tensor = ((read - low) / step).round() * step + low
    return rounded


def _channel_effects(call: Tap, axis: int, has_norm: bool) -> Tensor:
    """What each channel of what was read adds to the outputs, shape (n, projections, channels).

    Args:
        call: Of the layer that reads.
        axis: Of the channels.
        has_norm: Whether a BatchNorm follows, which makes up for what the channels were on average.
    """
    read = _centred(call.inputs, axis) if has_norm else call.inputs
    products = (call.input_slopes * read).movedim(axis if axis < 0 else axis + 1, 2)
    return products.flatten(3).sum(3).transpose(0, 1) if products.dim() > 3 else products.transpose(0, 1)


def _channel_axis(layer: nn.Module) -> int:
    """The axis of the channels that a layer reads: behind the samples, of linear layers the last."""
    return -1 if isinstance(layer, nn.Linear) else 1


def _centred(values: Tensor, axis: int) -> Tensor:
    """Without the mean of each channel."""
    return values - values.mean(_others(values, axis), keepdim=True)


def _rms(values: Tensor, axis: int) -> Tensor:
    """Root mean square of each channel."""
    return values.square().mean(_others(values, axis), keepdim=True).sqrt()


def _others(values: Tensor, axis: int) -> list[int]:
    return [each for each in range(values.dim()) if each != axis % values.dim()]


def _limited(value: float) -> float:
    return 1.0 if math.isnan(value) else value
