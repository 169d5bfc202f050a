"""Keeps what was computed from a weight for as long as the weight lives: candidates ask for the same factors again."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry:
    state: tuple[object, ...]
    beside: Tensor | None
    value: Any  # whatever `compute` gave


class FactorCache:
    """Values by weight and name. A weight that is freed takes its values along; one that is edited voids them."""

    def __init__(self) -> None:
        self._entries: MutableMapping[Tensor, dict[str, _Entry]] = WeakTensorKeyDictionary()

    def get(self, weight: Tensor, name: str, compute: Callable[[], T], beside: Tensor | None = None) -> T:
        """The value of that name, computed where it is not there yet.

        Args:
            weight: The tensor itself, not a detached view of it.
            name: What the value is.
            compute: Gives the value; it must not refer to the weight, which it would keep alive.
            beside: A second tensor that the value was computed from; with another one it is computed anew.
        """
        if weight.is_inference():  # such tensors do not count their edits
            return compute()
        entries = self._entries.setdefault(weight, {})
        entry = entries.get(name)
        # The version counts edits in place; conversions (`module.to`, `.data = ...`) put other memory under the tensor.
        state = (weight._version, weight.data_ptr(), weight.dtype, weight.device, weight.shape)
        if entry is None or entry.state != state or entry.beside is not beside:
            entry = entries[name] = _Entry(state, beside, compute())
        value: T = entry.value
        return value
