"""Takes channels out of a network, and proves beforehand that the rest still fits together.

The proof follows the channels of the pruned network once more: each must arrive where it arrived before.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from ..hardware_profiles.errors import SpaceError
from .channel_groups import ChannelGroup, group_channels
from .channel_map import ChannelMap, Numbers
from .importance import class_scores
from .network import Network
from .shrink import shrink


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
    likewise: Sequence[fx.GraphModule] = (),
    kept: Mapping[str, int] | None = None,
) -> dict[str, list[int]]:
    """Removes the least important channels, in place, until each group has its width.

    Args:
        module: The network; edited.
        channels: Its channels, see `follow_channels`.
        widths: Width to reach by name of a layer whose output channels belong to the group.
        importances: Importance of each output channel by layer, shape (out,); layers without go by their weights.
        likewise: Modules of the same structure that lose the same channels, whatever their weights; edited.
        kept: Output channels that single layers of these groups keep in any case.

    Returns:
        Removed output channels by layer named in `widths`, where there are any.

    Raises:
        SpaceError: A width is not between 1 and the present one, no multiple of the group's step, or leaves some layer
            without channels.
    """
    groups = {name: group for group in group_channels(channels).groups for name in group.producers}
    removed = _weakest(module, channels, groups, widths, importances or {}, kept or {})
    for each in (module, *likewise):
        _remove(each, channels, removed)
    gone = {name: np.flatnonzero(np.isin(channels.made[name], removed)).tolist() for name in widths}
    return {name: indices for name, indices in gone.items() if indices}


def removal_order(network: Network, layer: str) -> list[Numbers]:
    """The numbers of the channels that go at once where a group of the uncompressed network gets narrower, in order.

    As many sets as may go; a width of `group.width - n * group.step` is what is left without the first n.

    Args:
        network: Traced; not touched.
        layer: Any whose output channels belong to the group.
    """
    channels = network.follower.map
    group = next(group for group in network.channels.groups if layer in group.producers)
    scores = class_scores(network.module, channels, group.classes, network.importances)
    return [
        np.concatenate([channels.made[name][classes == weakest] for name, classes in group.classes.items()])
        for weakest in _weakest_classes(scores, 1, _needed(channels, group, {}))
    ]


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
        self.groups = {name: group for group in network.channels.groups for name in group.producers}
        # Which channels go makes no difference to the proof, and weighing them takes longer than the rest of it.
        generator = torch.Generator().manual_seed(0)
        made = network.follower.map.made
        self.importances = {name: torch.rand(len(numbers), generator=generator) for name, numbers in made.items()}

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
        is_removed = _mask(channels, removed)
        shrinking = [each for each in channels.holders if is_removed[each.numbers].any()]
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
    kept: Mapping[str, int] | None = None,
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
            weakest = _weakest_classes(scores, width // group.step, _needed(channels, group, kept or {}))
            if len(weakest) < group.n_classes - width // group.step:
                least = (group.n_classes - len(weakest)) * group.step
                raise SpaceError(f"the width of {name!r} must be at least {least} to leave each layer one, got {width}")
            gone += [channels.made[each][np.isin(classes, weakest)] for each, classes in group.classes.items()]
    return np.concatenate(gone)


def _weakest_classes(scores: Tensor, n_kept: int, needed: Sequence[tuple[Numbers, int]]) -> list[int]:
    """The classes that go, the weakest first; of each needed set so many stay, so they may be too few."""
    spare = [len(each) - least for each, least in needed]
    gone: list[int] = []
    # A stable sort, so that equal scores fall the same way on every machine.
    for weakest in torch.argsort(scores, stable=True).tolist():
        owners = [i for i, (each, _) in enumerate(needed) if weakest in each]
        if len(gone) < len(scores) - n_kept and all(spare[i] > 0 for i in owners):
            gone.append(weakest)
            for i in owners:
                spare[i] -= 1
    return gone


def _needed(channels: ChannelMap, group: ChannelGroup, kept: Mapping[str, int]) -> list[tuple[Numbers, int]]:
    """The sets of classes, where it is not all of them, that some layer makes or reads, and how many it keeps."""
    class_of = np.full(channels.n_channels, -1)
    for name, classes in group.classes.items():
        class_of[channels.made[name]] = classes
    sets = [
        (np.unique(class_of[each.numbers]), kept.get(each.name, 1) if each.role == "out" else 1)
        for each in channels.holders
        if each.role in ("out", "in", "depthwise")
    ]
    return [(each, least) for each, least in sets if each[0] >= 0 and len(each) < group.n_classes]


def _remove(module: fx.GraphModule, channels: ChannelMap, removed: Numbers) -> None:
    is_removed = _mask(channels, removed)
    for holder in channels.holders:
        keep = ~is_removed[holder.numbers]
        if not keep.all():
            shrink(module, holder, torch.from_numpy(np.flatnonzero(keep)))


def _mask(channels: ChannelMap, numbers: Numbers) -> NDArray[np.bool_]:
    """By channel number, whether it is among those."""
    mask = np.zeros(channels.n_channels, bool)
    mask[numbers] = True
    return mask
