"""Which channels must go together: dependency groups by torch-pruning, which only this module imports."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch_pruning
from torch import Tensor, nn

from ..hardware_profiles.errors import SpaceError
from .network import Network, is_layer


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Output channels of some layers that are coupled, for example by residual additions.

    Attributes:
        producers: Layers whose output channels the group holds, in the order in which they run.
        consumers: Layers whose inputs follow, each with its number of inputs per channel: 1, or the pixels of a
            flattened map.
        width: Number of channels.
    """

    producers: tuple[str, ...]
    consumers: tuple[tuple[str, int], ...]
    width: int

    @property
    def name(self) -> str:
        """The first layer of the group."""
        return self.producers[0]


def find_channel_groups(network: Network) -> tuple[ChannelGroup, ...]:
    """The groups of a network whose width may change; the model's outputs and inputs are never part of one."""
    module = copy.deepcopy(network.module)
    graph = _dependency_graph(module, network.example_inputs)
    names = {submodule: name for name, submodule in module.named_modules()}
    order = {layer.name: position for position, layer in enumerate(network.layers)}
    called_once = {layer.name for layer in network.layers if layer.n_calls == 1}
    groups: list[ChannelGroup] = []
    grouped: set[str] = set()
    for layer in network.layers:
        if layer.name in grouped or layer.groups != 1:
            continue
        root = module.get_submodule(layer.name)
        group = graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, [0])
        producers, consumers = _members(graph, group, names)
        grouped |= producers
        if producers & network.output_layers or not {*producers, *consumers} <= called_once:
            continue
        ordered = tuple(sorted(producers, key=order.__getitem__))
        groups.append(ChannelGroup(ordered, tuple(sorted(consumers.items())), layer.out_channels))
    return tuple(groups)


def prune_channels(
    module: nn.Module, example_inputs: tuple[Tensor, ...], roots: Mapping[str, int], p_norm: int = 2
) -> dict[str, list[int]]:
    """Removes the least important channels, in place, until each root layer has its width.

    The importance of a channel is the L2 norm over everything the group holds of it, normalised by the group's mean
    (DepGraph, Fang et al. 2023).

    Args:
        module: The network; edited.
        example_inputs: A batch for tracing the dependencies, each of shape (n, ...).
        roots: Width to reach by name of a layer whose output channels belong to the group.
        p_norm: Order of the norm.

    Returns:
        Removed output channels by root layer.

    Raises:
        SpaceError: A width is not between 1 and the present one.
    """
    graph = _dependency_graph(module, example_inputs)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=p_norm)
    removed: dict[str, list[int]] = {}
    for name, width in roots.items():
        root = module.get_submodule(name)
        present = _out_channels(root)
        if not 1 <= width <= present:
            raise SpaceError(f"the width of {name!r} must be between 1 and {present}, got {width}")
        if width == present:
            continue
        prune = graph.get_pruner_of_module(root).prune_out_channels
        scores: Tensor = importance(graph.get_pruning_group(root, prune, list(range(present))))
        # A stable sort, so that equal scores fall the same way on every machine.
        weakest = torch.argsort(scores, stable=True)[: present - width].tolist()
        graph.get_pruning_group(root, prune, weakest).prune()
        removed[name] = sorted(weakest)
    return removed


def channel_importances(network: Network, groups: Iterable[ChannelGroup]) -> dict[str, Tensor]:
    """Importance of each channel in the uncompressed network, shape (width,), by name of the group."""
    module = copy.deepcopy(network.module)
    graph = _dependency_graph(module, network.example_inputs)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    scores: dict[str, Tensor] = {}
    for group in groups:
        root = module.get_submodule(group.name)
        prune = graph.get_pruner_of_module(root).prune_out_channels
        scores[group.name] = importance(graph.get_pruning_group(root, prune, list(range(group.width)))).detach()
    return scores


def _dependency_graph(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> torch_pruning.DependencyGraph:
    # torch-pruning follows the autograd graph, so every parameter must take part in it.
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    with torch.enable_grad():
        # In a tuple: torch-pruning unpacks the inputs, and would trace the first sample of a bare batch on its own.
        return torch_pruning.DependencyGraph().build_dependency(module, tuple(each[:1] for each in example_inputs), verbose=False)


def _members(
    graph: torch_pruning.DependencyGraph, group: torch_pruning.Group, names: Mapping[nn.Module, str]
) -> tuple[set[str], dict[str, int]]:
    """Producers, and inputs per consumer, of a group of one channel."""
    producers: set[str] = set()
    consumers: dict[str, int] = {}
    for dependency, indices in group:
        target = dependency.target.module
        if not is_layer(target):
            continue
        if graph.is_out_channel_pruning_fn(dependency.handler):
            producers.add(names[target])
        else:
            consumers[names[target]] = consumers.get(names[target], 0) + len(indices)
    return producers, consumers


def _out_channels(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels
    if isinstance(layer, nn.Linear):
        return layer.out_features
    raise SpaceError(f"pruning must start at a convolution or linear layer, got {type(layer).__name__}")
