"""Folds a network by its activations: any set of them is linear, and all layers merge that then can.

`Fold` offers segments that a search chooses from; here the activations are given, and segments grow out of segments: a
block whose activations are all linear becomes one layer together with its shortcut, and that merges with its neighbours
where the activation behind the addition is linear too.
"""

from __future__ import annotations

import copy
from collections.abc import Set
from dataclasses import dataclass, replace

from torch import fx

from ..hardware_profiles.profile import Capabilities
from .chain import is_mergeable, obstacle
from .fold import Fold, fold_choice, merge_linear_segments
from .geometry import Geometry
from .graph import is_layer, module_of, only_user, propagate_shapes
from .merge import absorb_shortcut
from .network import ACTIVATIONS, Network, list_layers
from .shortcut import Shortcut, find_shortcut
from .site import Choice, LeftAlone


@dataclass(frozen=True, slots=True)
class FoldableActivations:
    """Which activations of a network can go.

    Attributes:
        names: Those between layers that merge once the activation, or it and others, are linear; in network order.
        left_alone: The others, each with the reason.
    """

    names: tuple[str, ...]
    left_alone: tuple[LeftAlone, ...]

    @property
    def n_all(self) -> int:
        """Activations of the network."""
        return len(self.names) + len(self.left_alone)


def find_foldable_activations(network: Network, fold: Fold) -> FoldableActivations:
    """The activations that are worth making linear: without them the network has fewer layers.

    An activation that no merge would take out (in front of a pooling, in a squeeze-excite block, behind layers that
    several others read) would only make the network less able.

    Args:
        network: The traced network; not touched.
        fold: Its limits say which merges are worth it.
    """
    everything = {str(node.target) for node in _activations(network.module)}
    names = _offered(network, fold)
    reasons = _reasons(network, fold)
    folded = _fold_once(network, everything, fold)
    while folded is not None:
        names |= _offered(folded, fold)
        reasons |= _reasons(folded, fold)
        folded = _fold_once(folded, everything, fold)
    ordered = [str(node.target) for node in _activations(network.module)]
    return FoldableActivations(
        tuple(name for name in ordered if name in names),
        tuple(LeftAlone(fold.name, name, reasons[name]) for name in ordered if name not in names),
    )


def fold_activations(network: Network, linear: Set[str], fold: Fold) -> fx.GraphModule:
    """The network without some of its activations, in trainable form: merged layers keep the BatchNorm behind them.

    The merges are exact, but for the borders of images: the padding of merged layers moves to the first (METHODS
    section 6), which a fine-tune makes up for.

    Args:
        network: The traced network; not touched.
        linear: Names of activations; those that take no layer with them are left out all the same.
        fold: Its limits say which merges are worth it.
    """
    folded = network
    while (further := _fold_once(folded, linear, fold)) is not None:
        folded = further
    module = copy.deepcopy(folded.module)
    for node in _activations(module):
        if str(node.target) in linear:
            node.replace_all_uses_with(node.all_input_nodes[0])
            module.graph.erase_node(node)
    module.recompile()
    module.delete_all_unused_submodules()
    return module


def depth(module: fx.GraphModule) -> int:
    """Layers on the longest way from an input to an output: the projection of a shortcut does not count beside them."""
    layers_up_to: dict[fx.Node, int] = {}
    for node in module.graph.nodes:
        before = max((layers_up_to[source] for source in node.all_input_nodes), default=0)
        layers_up_to[node] = before + is_layer(module_of(module, node))
    return max(layers_up_to.values(), default=0)


def _fold_once(network: Network, linear: Set[str], fold: Fold) -> Network | None:
    """The network after all merges that are possible at once; None where there are none."""
    module = copy.deepcopy(network.module)
    decisions = _choose(network, linear, fold)
    fold.prepare(module, decisions, network)
    merge_linear_segments(module)
    n_absorbed = _absorb_shortcuts(module, linear)
    if not decisions and not n_absorbed:
        return None
    module.recompile()
    module.delete_all_unused_submodules()
    propagate_shapes(module, network.example_inputs)
    return replace(network, module=module, layers=list_layers(module))


def _choose(network: Network, linear: Set[str], fold: Fold) -> dict[str, Choice]:
    """The longest segments whose activations are all linear, none sharing a layer with another, by their first."""
    decisions: dict[str, Choice] = {}
    taken: set[fx.Node] = set()
    for node in network.module.graph.nodes:
        fitting = [
            segment
            for segment in fold.offered(network, node)
            if taken.isdisjoint(segment.layers) and linear >= {str(each.target) for each in segment.activations}
        ]
        if fitting:
            decisions[str(node.target)] = fold_choice(len(fitting[-1].activations))
            taken |= set(fitting[-1].layers)
    return decisions


def _absorb_shortcuts(module: fx.GraphModule, linear: Set[str]) -> int:
    """Takes shortcuts around single layers into them where the activation before or behind them is linear; how many.

    Elsewhere nothing would be won, and the shortcut and the BatchNorm before it help to train.
    """
    n_absorbed = 0
    # One at a time: each takes nodes out of the graph.
    while (found := _find_absorbable(module, linear)) is not None:
        absorb_shortcut(module, *found)
        n_absorbed += 1
    return n_absorbed


def _find_absorbable(module: fx.GraphModule, linear: Set[str]) -> tuple[fx.Node, Shortcut] | None:
    for node in module.graph.nodes:
        layer = module_of(module, node)
        if not is_mergeable(layer) or obstacle(module, node) is not None:
            continue
        source = node.all_input_nodes[0]
        shortcut = find_shortcut(module, node, source, Geometry.of(layer))
        if shortcut is not None and any(
            _is_linear(module, each, linear) for each in (source, only_user(shortcut.addition))
        ):
            return node, shortcut
    return None


def _is_linear(module: fx.GraphModule, node: fx.Node | None, linear: Set[str]) -> bool:
    return node is not None and isinstance(module_of(module, node), ACTIVATIONS) and str(node.target) in linear


def _activations(module: fx.GraphModule) -> list[fx.Node]:
    return [node for node in module.graph.nodes if isinstance(module_of(module, node), ACTIVATIONS)]


def _offered(network: Network, fold: Fold) -> set[str]:
    segments = [segment for node in network.module.graph.nodes for segment in fold.offered(network, node)]
    return {str(node.target) for segment in segments for node in segment.activations}


def _reasons(network: Network, fold: Fold) -> dict[str, str]:
    found = fold.find_sites(network, Capabilities())  # folding asks nothing of the hardware
    return {item.name: item.reason for item in found.left_alone}
