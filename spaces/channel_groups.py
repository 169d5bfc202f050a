"""Which channels must stay or go together: those that meet somewhere in the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .channel_map import ChannelMap, Holder, Numbers


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Output channels of some layers that are coupled, for example by residual additions.

    Attributes:
        producers: Layers whose output channels the group holds, in the order in which they run.
        consumers: Layers whose inputs follow, each with its number of inputs in the group (more than the channels
            where a map is flattened).
        followers: Depthwise convolutions that the channels pass through, each with its number of inputs in the group.
        width: Number of channels.
        step: Channels that go at once, because the layer works in groups or heads; 1 where each may go on its own.
        classes: The class of each channel by producer, from 0 up; the channels of one class go together.
    """

    producers: tuple[str, ...]
    consumers: tuple[tuple[str, int], ...]
    followers: tuple[tuple[str, int], ...]
    width: int
    step: int
    classes: Mapping[str, Numbers]

    @property
    def name(self) -> str:
        """The first layer of the group."""
        return self.producers[0]

    @property
    def n_classes(self) -> int:
        """How many sets of channels there are to choose from."""
        return self.width // self.step


@dataclass(frozen=True, slots=True)
class Channels:
    """The groups of a network, and why the channels of its other layers stay.

    Attributes:
        groups: In the order of their first layers.
        fixed: The reason by layer.
    """

    groups: tuple[ChannelGroup, ...]
    fixed: Mapping[str, str]


def group_channels(channels: ChannelMap) -> Channels:
    """Producers that share a class of tied channels form a group, unless one of the channels must stay."""
    classes = _components(channels.n_channels, channels.ties)
    stuck = {int(each): reason for numbers, reason in reversed(channels.fixed) for each in np.unique(classes[numbers])}
    producers = list(channels.made)
    # One number per producer in front of the classes: a group is what hangs together in this graph.
    links = [
        (np.full(len(numbers), position), len(producers) + classes[numbers])
        for position, numbers in enumerate(channels.made.values())
    ]
    membership = _components(len(producers) + int(classes.max()) + 1, links)
    met = _met_groups(channels, membership[len(producers) :][classes])
    groups: list[ChannelGroup] = []
    fixed: dict[str, str] = {}
    for group in dict.fromkeys(membership[: len(producers)].tolist()):
        names = [name for position, name in enumerate(producers) if membership[position] == group]
        own = np.unique(np.concatenate([classes[channels.made[name]] for name in names]))
        reason = next((stuck[each] for each in own.tolist() if each in stuck), "")
        made = None if reason else _group(channels, classes, names, met[group])
        if made is None:
            fixed.update(dict.fromkeys(names, reason or "its channels are coupled in sets of unequal size"))
        else:
            groups.append(made)
    return Channels(tuple(groups), fixed)


def _met_groups(channels: ChannelMap, group_of: Numbers) -> dict[int, list[tuple[Holder, int]]]:
    """By group, the holders that have entries of it, and how many; `group_of` is by channel number."""
    met: dict[int, list[tuple[Holder, int]]] = defaultdict(list)
    for holder in channels.holders:
        groups, counts = np.unique(group_of[holder.numbers], return_counts=True)
        for group, count in zip(groups.tolist(), counts.tolist(), strict=True):
            met[group].append((holder, count))
    return met


def _group(
    channels: ChannelMap, classes: Numbers, names: list[str], met: list[tuple[Holder, int]]
) -> ChannelGroup | None:
    numbers = np.unique(np.concatenate([classes[channels.made[name]] for name in names]))
    place = {name: np.searchsorted(numbers, classes[channels.made[name]]) for name in names}
    # Each class has as many channels as it has in the layer that has most of it.
    counts = np.max([np.bincount(each, minlength=len(numbers)) for each in place.values()], axis=0)
    if counts.min() != counts.max():
        return None
    step = int(counts[0])
    consumers = tuple((holder.name, n_entries) for holder, n_entries in met if holder.role == "in")
    followers = tuple((holder.name, n_entries) for holder, n_entries in met if holder.role == "depthwise")
    return ChannelGroup(tuple(names), consumers, followers, len(numbers) * step, step, place)


def _components(n: int, pairs: Iterable[tuple[Numbers, Numbers]]) -> Numbers:
    """The connected component of each of n numbers under pairs of them."""
    pairs = list(pairs)
    rows = np.concatenate([np.empty(0, np.int64), *(a for a, _ in pairs)])
    columns = np.concatenate([np.empty(0, np.int64), *(b for _, b in pairs)])
    _, components = connected_components(coo_array((np.ones(len(rows), np.int8), (rows, columns)), (n, n)), False)
    result: Numbers = components.astype(np.int64)
    return result
