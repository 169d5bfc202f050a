"""Finds what can be merged in a graph: segments of layers between which everything is, or can be made, linear."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeGuard

import torch
from torch import fx, nn

from .geometry import Geometry
from .graph import Convolution, is_layer, module_of, n_calls, only_user
from .linearise import LinearisedActivation
from .network import ACTIVATIONS

INPUT_IS_SHARED = "its input is read in several places"
OUTPUT_IS_SHARED = "its output is read in several places"
NOT_BETWEEN = "it does not stand between two convolutions or two linear layers"

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_GATES = (nn.Sigmoid, nn.Hardsigmoid)
_PRODUCTS: frozenset[Any] = frozenset({operator.mul, operator.imul, torch.mul, "mul", "mul_"})


@dataclass(frozen=True, slots=True)
class Link:
    """What stands between two neighbouring layers: [BN] → [activation]; dropout does nothing at inference."""

    norm: fx.Node | None
    activation: fx.Node | None


@dataclass(frozen=True, slots=True)
class Segment:
    """layer → link → layer → ... → layer, as nodes of one graph, that nothing else reads between.

    Attributes:
        layers: At least one.
        links: One between any two neighbours.
    """

    layers: tuple[fx.Node, ...]
    links: tuple[Link, ...] = ()

    @property
    def activations(self) -> tuple[fx.Node, ...]:
        """The activations between its layers."""
        return tuple(link.activation for link in self.links if link.activation is not None)

    def extended(self, link: Link, layer: fx.Node) -> Segment:
        """The segment with one more layer behind it."""
        return Segment((*self.layers, layer), (*self.links, link))


def segments_from(module: fx.GraphModule, first: fx.Node) -> Iterator[Segment]:
    """The segments that begin at a layer, from short to long, each ending with the layer behind an activation."""
    if obstacle(module, first) is not None:
        return
    segment = Segment((first,))
    while not isinstance(found := link_behind(module, segment.layers[-1]), str):
        segment = segment.extended(*found)
        if segment.links[-1].activation is not None:
            yield segment


def linear_segments(module: fx.GraphModule) -> list[Segment]:
    """The segments whose links are all linearised, each as long as it goes."""
    found: list[Segment] = []
    for node in module.graph.nodes:
        if not is_mergeable(module_of(module, node)) or any(node in segment.layers for segment in found):
            continue
        segment = Segment((node,))
        while not isinstance(after := link_behind(module, segment.layers[-1]), str):
            if not isinstance(module_of(module, after[0].activation), LinearisedActivation):
                break
            segment = segment.extended(*after)
        if segment.links:
            found.append(segment)
    return found


def link_behind(module: fx.GraphModule, layer: fx.Node) -> tuple[Link, fx.Node] | str:
    """What follows a layer up to the next, and that; or why the two cannot be merged, said of the activation."""
    norm = activation = None
    node = only_reader(module, layer)
    if node is not None and is_norm_of(module, layer, node):
        norm, node = node, only_reader(module, node)
    if node is None:
        return INPUT_IS_SHARED
    if isinstance(module_of(module, node), (*ACTIVATIONS, LinearisedActivation)):
        activation, node = node, only_reader(module, node)
        if node is None:
            return OUTPUT_IS_SHARED
    after = module_of(module, node)
    if not is_layer(after) or type(after) is not type(module_of(module, layer)):
        return NOT_BETWEEN
    return obstacle(module, layer) or obstacle(module, node) or (Link(norm, activation), node)


def layer_before(module: fx.GraphModule, activation: fx.Node) -> fx.Node | None:
    """The layer that an activation follows, with nothing but BatchNorm and dropout between."""
    node = without_dropout(module, activation.all_input_nodes[0])
    if is_foldable_norm(module_of(module, node)):
        node = without_dropout(module, node.all_input_nodes[0])
    return node if is_layer(module_of(module, node)) else None


def obstacle(module: fx.GraphModule, node: fx.Node) -> str | None:
    """Why a layer cannot be merged with any other, said of the activation beside it, or None where it can."""
    layer = module_of(module, node)
    if not is_mergeable(layer):
        return "transposed convolutions around it are not merged" if is_layer(layer) else NOT_BETWEEN
    if n_calls(module, node) > 1:
        return "a layer beside it is called in several places"
    if isinstance(layer, nn.Linear):
        return None
    if isinstance(layer.padding, str):
        return "the padding around it is not given in numbers"
    if layer.padding_mode != "zeros":
        return "padding other than zeros around it cannot be moved"
    return None


def merged_geometry(module: fx.GraphModule, segment: Segment) -> Geometry:
    """The sizes of the layer that a segment becomes."""
    return reduce(Geometry.then, (Geometry.of(mergeable(module, node)) for node in segment.layers))


def drives_a_gate(module: fx.GraphModule, layer: fx.Node) -> bool:
    """Whether a layer's output, squashed to 0..1, multiplies something: the end of squeeze-and-excitation."""
    node, is_squashed = only_user(layer), False
    while node is not None and node.op == "call_module" and not is_layer(module_of(module, node)):
        is_squashed = is_squashed or isinstance(module_of(module, node), _GATES)
        node = only_user(node)
    return is_squashed and node is not None and node.target in _PRODUCTS


def is_foldable_norm(module: nn.Module | None) -> bool:
    """Whether a module is a BatchNorm that applies running statistics at inference, an affine map per channel."""
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and module.running_mean is not None


def is_norm_of(module: fx.GraphModule, layer: fx.Node, norm: fx.Node) -> bool:
    """Whether a node is a BatchNorm over the output channels of a layer.

    Behind a linear layer on (n, length, channels) it would be over the second dimension instead.
    """
    is_linear = isinstance(module_of(module, layer), nn.Linear)
    known = layer.meta.get("tensor_meta")
    return is_foldable_norm(module_of(module, norm)) and not (is_linear and known is not None and len(known.shape) > 2)


def is_mergeable(layer: nn.Module | None) -> TypeGuard[Convolution | nn.Linear]:
    """Whether a module is a layer that can be merged with another of its type."""
    return isinstance(layer, Convolution | nn.Linear)


def mergeable(module: fx.GraphModule, node: fx.Node) -> Convolution | nn.Linear:
    """The layer that a node of a segment calls."""
    layer = module_of(module, node)
    assert is_mergeable(layer)
    return layer


def only_reader(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The single node that reads a value, or what dropout makes of it; None where there are several or none."""
    reader = only_user(node)
    while isinstance(module_of(module, reader), _DROPOUTS):
        assert reader is not None
        reader = only_user(reader)
    return reader


def without_dropout(module: fx.GraphModule, node: fx.Node) -> fx.Node:
    """The value that dropout was applied to; the node itself where there was none."""
    while isinstance(module_of(module, node), _DROPOUTS):
        node = node.all_input_nodes[0]
    return node
