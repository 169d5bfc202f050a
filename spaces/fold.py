"""Layer folding: activations become linear, and the layers around them merge into one.

The padding of all layers of a segment is moved to the first before training, because zero padding between them would
make the merge wrong at the borders (METHODS section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx, nn

from ..hardware_profiles.errors import SpaceError
from ..hardware_profiles.profile import Capabilities
from .chain import (
    NOT_BETWEEN,
    Segment,
    drives_a_gate,
    layer_before,
    linear_segments,
    link_behind,
    mergeable,
    merged_geometry,
    segments_from,
)
from .geometry import Geometry
from .graph import free_name, module_of, replace_module
from .linearise import LinearisedActivation
from .merge import absorb_shortcut, merge_segment
from .network import ACTIVATIONS, Network
from .shortcut import find_shortcut
from .site import Choice, LeftAlone, Site
from .technique import Decisions, Found

OFF, ON = "off", "on"


def n_folded(choice: Choice) -> int:
    """How many activations a fold choice makes linear: none for `"off"`, 1 for `"on"`, 2 for `"on:2"`.

    Raises:
        SpaceError: The text is no fold choice.
    """
    word, colon, count = str(choice).partition(":")
    if word == ON and (not colon or (count.isdecimal() and int(count) > 1)):
        return int(count or 1)
    if choice == OFF:
        return 0
    raise SpaceError(f"a fold must be off, on, or on:N with N from 2, got {choice!r}")


def fold_choice(n_activations: int) -> str:
    """The choice that makes so many activations linear."""
    return OFF if n_activations == 0 else ON if n_activations == 1 else f"{ON}:{n_activations}"


def merge_linear_segments(module: fx.GraphModule) -> bool:
    """Merges, in place, all layers between which everything became linear (α = 1); BatchNorm behind them stays.

    Called when α has reached 1, it makes the rest of a training cheaper; `finish` calls it in any case.

    Returns:
        Whether there were any.
    """
    segments = linear_segments(module)
    for segment in segments:
        merge_segment(module, segment)
    if segments:
        module.recompile()
        module.delete_all_unused_submodules()
    return bool(segments)


def folded_activations(module: fx.GraphModule, layer: str, choice: Choice) -> tuple[str, ...]:
    """The activations that a fold makes linear, by name; none for `"off"`.

    Args:
        module: The uncompressed network.
        layer: The one that the site is named after.
        choice: Of that site.
    """
    if not n_folded(choice):
        return ()
    first = next(node for node in module.graph.nodes if node.op == "call_module" and node.target == layer)
    return tuple(str(node.target) for node in _chosen(module, first, choice).activations)


@dataclass(frozen=True, slots=True)
class Fold:
    """Offers to merge layers around one or several activations, with the shortcut around them where there is one.

    Attributes:
        max_kernel: Widest merged kernel that is offered: beyond it the merged layer costs more than its parts.
        max_growth: Most that a merged layer may cost, as a multiple of the MACs of the layers that it replaces.
    """

    name: str = "fold"
    max_kernel: int = 5
    max_growth: float = 2.0

    def find_sites(self, network: Network, capabilities: Capabilities) -> Found:
        """One site per layer that begins a segment, with one choice per number of activations folded."""
        sites: list[Site] = []
        folded: set[fx.Node] = set()
        for node in network.module.graph.nodes:
            segments = list(self.offered(network, node))
            if segments:
                sites.append(self._site(network, segments))
                folded |= set(segments[-1].activations)
        left_alone = [
            LeftAlone(self.name, str(node.target), self._reason(network, node))
            for node in network.module.graph.nodes
            if isinstance(module_of(network.module, node), ACTIVATIONS) and node not in folded
        ]
        return Found(tuple(sites), tuple(left_alone))

    def offered(self, network: Network, first: fx.Node) -> Iterator[Segment]:
        """The segments that begin at a layer and are within the limits, from short to long."""
        for segment in segments_from(network.module, first):
            if self._limit(network, segment) is None:
                yield segment

    def prepare(self, module: fx.GraphModule, decisions: Decisions, network: Network) -> None:
        """Makes the activations linearisable and moves the padding of all layers to the first."""
        for node in list(module.graph.nodes):
            choice = decisions.get(str(node.target), OFF)
            if n_folded(choice):
                _linearise(module, _chosen(module, node, choice))
        module.recompile()

    def finish(self, module: fx.GraphModule, decisions: Decisions) -> None:
        """Merges every linearised segment into its first layer, with the shortcut around it."""
        merge_linear_segments(module)
        for node in list(module.graph.nodes):
            if n_folded(decisions.get(str(node.target), OFF)):
                sizes = Geometry.of(mergeable(module, node))
                shortcut = find_shortcut(module, node, node.all_input_nodes[0], sizes)
                if shortcut is not None:
                    absorb_shortcut(module, node, shortcut)
        module.recompile()
        module.delete_all_unused_submodules()

    def _site(self, network: Network, segments: list[Segment]) -> Site:
        chains = [tuple(str(node.target) for node in segment.layers) for segment in segments]
        projections = [_projection(network.module, segment) for segment in segments]
        spans = [(*chain, *taken) for chain, taken in zip(chains, projections, strict=True)]
        absorbed = dict.fromkeys(name for taken in projections for name in taken)
        choices = [fold_choice(len(segment.activations)) for segment in segments]
        layers = (*chains[-1], *absorbed)
        return Site(f"{self.name}/{chains[-1][0]}", layers, (OFF, *choices), ((), *spans))

    def _limit(self, network: Network, segment: Segment) -> str | None:
        """Why a segment that could be merged is not offered, said of an activation in it; or None."""
        if any(network.layer(str(node.target)).n_calls > 1 for node in segment.layers):
            return "a layer beside it shares its weights with another"
        merged = merged_geometry(network.module, segment)
        if max(merged.kernel, default=1) > self.max_kernel:
            return f"the merged kernel would be {max(merged.kernel)} wide, more than {self.max_kernel}"
        if any(padding >= extent for padding, extent in zip(merged.padding, merged.extent, strict=True)):
            return "the padding around it is wider than the merged kernel"
        if drives_a_gate(network.module, segment.layers[-1]):
            return "it belongs to a squeeze-excite block, whose output scales channels"
        growth = self._growth(network, segment, merged)
        if growth > self.max_growth:
            return f"the merged layer would cost {growth:.1f} times its parts, more than {self.max_growth:g}"
        return None

    def _growth(self, network: Network, segment: Segment, merged: Geometry) -> float:
        """MACs of the merged layer as a multiple of those of the layers that it replaces."""
        names = [*(str(node.target) for node in segment.layers), *_projection(network.module, segment)]
        replaced = sum(network.layer(name).macs for name in names)
        n_positions = network.layer(str(segment.layers[-1].target)).n_positions
        return merged.n_weights * n_positions / replaced

    def _reason(self, network: Network, activation: fx.Node) -> str:
        """Why no segment around an activation is offered."""
        layer = layer_before(network.module, activation)
        if layer is None:
            return NOT_BETWEEN
        link = link_behind(network.module, layer)
        reason = link if isinstance(link, str) else self._limit(network, Segment((layer,)).extended(*link))
        assert reason is not None
        return reason


def _projection(module: fx.GraphModule, segment: Segment) -> tuple[str, ...]:
    """The 1 x 1 layer of the shortcut around a segment, where the merged layer absorbs it."""
    first, last = segment.layers[0], segment.layers[-1]
    shortcut = find_shortcut(module, last, first.all_input_nodes[0], merged_geometry(module, segment))
    return () if shortcut is None or shortcut.projection is None else (str(shortcut.projection.target),)


def _chosen(module: fx.GraphModule, first: fx.Node, choice: Choice) -> Segment:
    """The segment from a layer on with as many activations as a choice folds."""
    return next(each for each in segments_from(module, first) if len(each.activations) == n_folded(choice))


def _linearise(module: fx.GraphModule, segment: Segment) -> None:
    padding = merged_geometry(module, segment).padding
    for link, layer in zip(segment.links, segment.layers[:-1], strict=True):
        if link.activation is None:
            _mark_as_linear(module, link.norm or layer)
        else:
            name = str(link.activation.target)
            replace_module(module, name, LinearisedActivation(module.get_submodule(name)))
    for node in segment.layers:
        _set_padding(module, node, padding if node is segment.layers[0] else tuple(0 for _ in padding))


def _mark_as_linear(module: fx.GraphModule, node: fx.Node) -> None:
    """Puts an activation that is linear at any α behind a node, so that all links of a segment look alike."""
    name = free_name(module, f"{node.target}_link")
    replace_module(module, name, LinearisedActivation(nn.Identity()))
    with module.graph.inserting_after(node):
        link = module.graph.call_module(name)
    node.replace_all_uses_with(link)
    link.args = (node,)


def _set_padding(module: fx.GraphModule, node: fx.Node, padding: tuple[int, ...]) -> None:
    layer = mergeable(module, node)
    if isinstance(layer, nn.Linear):
        return
    moved = Geometry.of(layer).with_padding(padding).build(bias=layer.bias is not None)
    moved.weight, moved.bias = layer.weight, layer.bias
    replace_module(module, str(node.target), moved.train(layer.training))
