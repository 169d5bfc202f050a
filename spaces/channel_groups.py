"""Which channels must stay or go together, found by following them; proved by following them again after removal."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import SpaceError
from .channel_labels import ChannelMap, Numbers
from .importance import class_scores
from .network import Network
from .shrink import shrink


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


def find_channel_groups(network: Network) -> Channels:
    """The groups of a network whose width may change; the model's outputs and inputs are never part of one."""
    return _groups(network.follower.map)


def removal_costs(network: Network, groups: Iterable[ChannelGroup]) -> dict[str, Tensor]:
    """What each set of channels that goes at once is worth, from the least to the most, by name of the group.

    Shape (width / step,) each; in the uncompressed network.
    """
    channels = network.follower.map
    return {
        group.name: class_scores(network.module, channels, group.classes, network.importances).sort().values
        for group in groups
    }


def prune_channels(
    module: fx.GraphModule,
    channels: ChannelMap,
    widths: Mapping[str, int],
    importances: Mapping[str, Tensor] | None = None,
) -> dict[str, list[int]]:
    """Removes the least important channels, in place, until each group has its width.

    Args:
        module: The network; edited.
        channels: Its channels, see `follow_channels`.
        widths: Width to reach by name of a layer whose output channels belong to the group.
        importances: Importance of each output channel by layer, shape (out,); layers without go by their weights.

    Returns:
        Removed output channels by layer named in `widths`, where there are any.

    Raises:
        SpaceError: A width is not between 1 and the present one, no multiple of the group's step, or leaves some layer
            without channels.
    """
    groups = {name: group for group in _groups(channels).groups for name in group.producers}
    removed = _weakest(module, channels, groups, widths, importances or {})
    _remove(module, channels, removed)
    gone = {name: np.flatnonzero(np.isin(channels.made[name], removed)).tolist() for name in widths}
    return {name: indices for name, indices in gone.items() if indices}


def unprunable(network: Network, widths: Mapping[str, int]) -> dict[str, str]:
    """The groups, of those named by their first layers, that cannot be pruned to those widths after all, and why.

    A forward may spell sizes out. So the channels of the pruned network are followed again: each must arrive where it
    arrived before.
    """
    return _Trial(network).unprunable(widths)


def share_weights(module: fx.GraphModule) -> fx.GraphModule:
    """A copy whose structure can be changed, with the same parameters in memory."""
    memo = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, memo)


class _Trial:
    """Prunes a copy of a network to see whether it works, and puts everything back."""

    def __init__(self, network: Network) -> None:
        self.module = share_weights(network.module)
        self.follower = network.follower
        self.groups = {name: group for group in _groups(self.follower.map).groups for name in group.producers}
        self.importances = network.importances

    def unprunable(self, widths: Mapping[str, int]) -> dict[str, str]:
        if not self._objection(widths):
            return {}
        broken = {name: reason for name, width in widths.items() if (reason := self._objection({name: width}))}
        return broken | self._culprits([], [each for each in widths.items() if each[0] not in broken])

    def _culprits(self, fine: list[tuple[str, int]], widths: Sequence[tuple[str, int]]) -> dict[str, str]:
        """Those that only fail with others: one half after the other, down to single ones; the others become fine."""
        reason = self._objection(dict((*fine, *widths))) if widths else ""
        if not reason:
            fine += widths
            return {}
        if len(widths) == 1:
            return {widths[0][0]: reason}
        middle = len(widths) // 2
        return {**self._culprits(fine, widths[:middle]), **self._culprits(fine, widths[middle:])}

    def _objection(self, widths: Mapping[str, int]) -> str:
        """Why the network pruned to those widths is not the network without those channels; empty where it is."""
        channels = self.follower.map
        try:
            removed = _weakest(self.module, channels, self.groups, widths, self.importances)
        except SpaceError as error:
            return str(error)
        shrinking = [each for each in channels.holders if np.isin(each.numbers, removed).any()]
        names = {each.name for each in shrinking}
        before = [_State(self.module, name) for name in names]
        try:
            _remove(self.module, channels, removed)
            after = {(each.name, each.role): each for each in self.follower.again(self.module, removed, names)}
        except Exception as error:  # whatever breaks here would break every trial
            return " ".join(str(error).split())
        finally:
            for state in before:
                state.restore()
        for old in shrinking:
            new = after.get((old.name, old.role))
            if new is None or not np.array_equal(old.numbers[~np.isin(old.numbers, removed)], new.numbers):
                return f"the channels of {old.name!r} would no longer be the ones its weights are for"
        return ""


class _State:
    """The attributes of a module, to go back to."""

    def __init__(self, root: nn.Module, name: str) -> None:
        is_module = name in dict(root.named_modules())
        self.module = root.get_submodule(name if is_module else name.rpartition(".")[0])
        self.attributes = {
            key: dict(value) if isinstance(value, dict) else value for key, value in vars(self.module).items()
        }

    def restore(self) -> None:
        vars(self.module).update(self.attributes)


def _weakest(
    module: nn.Module,
    channels: ChannelMap,
    groups: Mapping[str, ChannelGroup],
    widths: Mapping[str, int],
    importances: Mapping[str, Tensor],
) -> Numbers:
    """The numbers of the channels that go."""
    gone: list[Numbers] = [np.empty(0, np.int64)]
    for name, width in widths.items():
        group = groups.get(name)
        if group is None:
            raise SpaceError(f"the channels of {name!r} cannot be removed: they are coupled to some that must stay")
        if not 1 <= width <= group.width or width % group.step:
            steps = f" and a multiple of {group.step}" if group.step > 1 else ""
            raise SpaceError(f"the width of {name!r} must be between 1 and {group.width}{steps}, got {width}")
        if width < group.width:
            scores = class_scores(module, channels, group.classes, importances)
            weakest = _weakest_classes(scores, width // group.step, _needed(channels, group))
            if len(weakest) < group.n_classes - width // group.step:
                least = (group.n_classes - len(weakest)) * group.step
                raise SpaceError(f"the width of {name!r} must be at least {least} to leave each layer one, got {width}")
            gone += [channels.made[each][np.isin(classes, weakest)] for each, classes in group.classes.items()]
    return np.concatenate(gone)


def _weakest_classes(scores: Tensor, n_kept: int, needed: Sequence[Numbers]) -> list[int]:
    """The classes that go, the weakest first; the last class of each needed set stays, so they may be too few."""
    left = [len(each) for each in needed]
    gone: list[int] = []
    # A stable sort, so that equal scores fall the same way on every machine.
    for weakest in torch.argsort(scores, stable=True).tolist():
        owners = [i for i, each in enumerate(needed) if weakest in each]
        if len(gone) < len(scores) - n_kept and all(left[i] > 1 for i in owners):
            gone.append(weakest)
            for i in owners:
                left[i] -= 1
    return gone


def _needed(channels: ChannelMap, group: ChannelGroup) -> list[Numbers]:
    """The sets of classes, where it is not all of them, that are everything that some layer makes or reads."""
    class_of = np.full(channels.n_channels, -1)
    for name, classes in group.classes.items():
        class_of[channels.made[name]] = classes
    sets = [np.unique(class_of[each.numbers]) for each in channels.holders if each.role in ("out", "in", "depthwise")]
    return [each for each in sets if each[0] >= 0 and len(each) < group.n_classes]


def _remove(module: fx.GraphModule, channels: ChannelMap, removed: Numbers) -> None:
    is_removed = np.zeros(channels.n_channels, bool)
    is_removed[removed] = True
    for holder in channels.holders:
        keep = ~is_removed[holder.numbers]
        if not keep.all():
            shrink(module, holder, torch.from_numpy(np.flatnonzero(keep)))


def _groups(channels: ChannelMap) -> Channels:
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
    groups: list[ChannelGroup] = []
    fixed: dict[str, str] = {}
    for group in dict.fromkeys(membership[: len(producers)].tolist()):
        names = [name for position, name in enumerate(producers) if membership[position] == group]
        own = np.unique(np.concatenate([classes[channels.made[name]] for name in names]))
        reason = next((stuck[each] for each in own.tolist() if each in stuck), "")
        made = None if reason else _group(channels, classes, names)
        if made is None:
            fixed.update(dict.fromkeys(names, reason or "its channels are coupled in sets of unequal size"))
        else:
            groups.append(made)
    return Channels(tuple(groups), fixed)


def _group(channels: ChannelMap, classes: Numbers, names: list[str]) -> ChannelGroup | None:
    numbers = np.unique(np.concatenate([classes[channels.made[name]] for name in names]))
    place = {name: np.searchsorted(numbers, classes[channels.made[name]]) for name in names}
    # Each class has as many channels as it has in the layer that has most of it.
    counts = np.max([np.bincount(each, minlength=len(numbers)) for each in place.values()], axis=0)
    if counts.min() != counts.max():
        return None
    step = int(counts[0])
    met = [(each, int(np.isin(classes[each.numbers], numbers).sum())) for each in channels.holders]
    consumers = tuple((holder.name, n_entries) for holder, n_entries in met if holder.role == "in" and n_entries)
    followers = tuple((holder.name, n_entries) for holder, n_entries in met if holder.role == "depthwise" and n_entries)
    return ChannelGroup(tuple(names), consumers, followers, len(numbers) * step, step, place)


def _components(n: int, pairs: Iterable[tuple[Numbers, Numbers]]) -> Numbers:
    """The connected component of each of n numbers under pairs of them."""
    pairs = list(pairs)
    rows = np.concatenate([np.empty(0, np.int64), *(a for a, _ in pairs)])
    columns = np.concatenate([np.empty(0, np.int64), *(b for _, b in pairs)])
    _, components = connected_components(coo_array((np.ones(len(rows), np.int8), (rows, columns)), (n, n)), False)
    result: Numbers = components.astype(np.int64)
    return result
