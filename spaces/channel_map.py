"""The channels of a network by number: which tensor has which, who holds them, and what keeps them together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FIXED = 0
"""The number of channels that cannot be removed: the model's inputs, constants, outputs, what is not understood."""
Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labels:
    """The channel numbers of one tensor.

    Attributes:
        ids: Broadcastable to `shape`: of size 1 along every axis where the numbers do not vary.
        shape: Of the tensor itself.
    """

    ids: Tensor
    shape: torch.Size

    def full(self) -> Tensor:
        """The numbers element by element."""
        return self.ids.expand(self.shape)

    def varies(self, axis: int) -> bool:
        """Whether elements along an axis belong to different channels."""
        return self.ids.shape[axis] > 1


@dataclass(frozen=True, slots=True)
class Holder:
    """Something in the network with one entry per channel, which shrinks when channels go.

    Attributes:
        name: A module, or a parameter of the model's own.
        role: `out` and `in` (a layer's), `depthwise` (both at once), `norm`, `split`, `heads`, or `parameter`.
        numbers: The channel number of each entry.
        axis: Of a parameter.
    """

    name: str
    role: str
    numbers: Numbers
    axis: int = 0


@dataclass(slots=True)
class ChannelMap:
    """Every channel of a network and where it goes.

    Attributes:
        made: The numbers of the channels that each layer makes.
        holders: Everything with one entry per channel.
        ties: Pairs of numbers that must stay or go together.
        fixed: Numbers that must stay, with the reason.
        n_channels: Numbers in use.
    """

    made: dict[str, Numbers] = field(default_factory=dict)
    holders: list[Holder] = field(default_factory=list)
    ties: list[tuple[Numbers, Numbers]] = field(default_factory=list)
    fixed: list[tuple[Numbers, str]] = field(default_factory=list)
    n_channels: int = 1  # FIXED is number 0

    def tie(self, one: Tensor, other: Tensor, where: str) -> None:
        """Notes that the channels of two number tensors, broadcast together, go together.

        Args:
            one: Numbers.
            other: Numbers.
            where: Name of the place where they meet.
        """
        a, b = np.broadcast_arrays(one.numpy(), other.numpy())
        is_free = (a != FIXED) & (b != FIXED)
        is_tied = is_free & (a != b)
        self.ties.append((a[is_tied], b[is_tied]))
        if not is_free.all():
            stuck = np.unique(np.maximum(a, b)[~is_free])
            self.fix(stuck, f"its channels meet inputs, constants or padding in {where!r}")

    def fix(self, numbers: Numbers, reason: str) -> None:
        """Notes that channels must stay."""
        if numbers.max(initial=FIXED) != FIXED:
            self.fixed.append((numbers, reason))

    def hold(self, name: str, role: str, numbers: Tensor, axis: int = 0) -> None:
        """Notes a holder; one that is met again (a module called twice) must hold the same channels."""
        known = next((each for each in self.holders if (each.name, each.role, each.axis) == (name, role, axis)), None)
        if known is None:
            self.holders.append(Holder(name, role, numbers.numpy().copy(), axis))
        else:
            self.tie(torch.from_numpy(known.numbers), numbers, name)

    def fix_all(self, labels: Any, reason: str) -> None:
        """Notes that all channels of a tensor, or of a tuple of them, must stay."""
        if isinstance(labels, tuple | list):
            for each in labels:
                self.fix_all(each, reason)
        elif isinstance(labels, Labels):
            self.fix(np.unique(labels.ids.numpy()), reason)

    def entries(self, labels: Labels, axis: int, where: str) -> Tensor:
        """The number behind each position of an axis; what varies along the others as well goes together."""
        first = labels.ids
        for other in range(labels.ids.dim()):
            if other != axis:
                first = first.narrow(other, 0, 1)
        if first.numel() != labels.ids.numel():
            self.tie(labels.ids, first, where)
        return first.flatten().expand(labels.shape[axis])

    def tie_groups(self, entries: Tensor, n_groups: int, where: str) -> None:
        """All groups lose the channels at the same places."""
        rows = entries.reshape(n_groups, -1)
        self.tie(rows, rows[:1], where)

    def compressed(self, ids: Tensor, where: str, n_tied: int = 0) -> Labels:
        """Labels without repetition; where more than `n_tied` axes vary, the channels of the outer ones are tied."""
        shape = ids.shape
        for axis in range(ids.dim()):
            first = ids.narrow(axis, 0, 1) if ids.shape[axis] else ids
            if ids.shape[axis] > 1 and bool((ids == first).all()):
                ids = first
        varying = [axis for axis in range(ids.dim()) if ids.shape[axis] > 1]
        reference = ids
        for axis in varying[:-1]:  # an axis was divided: its outer parts lose the channels at the same places
            reference = reference.narrow(axis, 0, 1)
        if len(varying) > max(1, n_tied):
            self.tie(ids, reference, where)
        return Labels(ids, shape)


def fixed_like(value: Any) -> Any:
    """The labels of a value none of whose channels can be removed: of a tensor, of each in a tuple, or None."""
    if isinstance(value, Tensor):
        return Labels(torch.full([1] * value.dim(), FIXED), value.shape)
    if isinstance(value, tuple | list):
        return tuple(fixed_like(each) for each in value)
    return None
