"""What a tensor is made of in a file: its arrays, as unsigned numbers, and what must be known to put them together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..hardware_profiles.errors import PackingError
from .circulant_weight import CirculantWeight
from .coded_weight import CodedWeight
from .stored_weight import StoredWeight
from .tied_weight import TiedWeight
from .value_codes import Patterns

Packable: TypeAlias = Tensor | StoredWeight

TENSOR, CODED, TIED, CIRCULANT = range(4)
TYPES = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
"""Of tensors, by their number in a file; behind these no order may change."""
MOST_AXES = 16
MOST_EXTENT = 1 << 40
"""Product of the lengths of all axes, those of length 0 taken as 1: beyond it no memory is asked for."""
_SAME_WIDTH = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class Part:
    """One array.

    Attributes:
        role: `values`, `indices`, `codebook`, `filters`, `source`, `transform`, `rows` or `scale`.
        dtype: Of its entries.
        shape: Of the array.
    """

    role: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def n_entries(self) -> int:
        """In all."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """In memory."""
        return self.n_entries * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class TensorHead:
    """What is known of a tensor before its arrays are read.

    Attributes:
        kind: `TENSOR`, `CODED`, `TIED` or `CIRCULANT`.
        dtype: Of the tensor; float32 of the other kinds.
        shape: Of the tensor, or of the weight that is restored.
        n_rows: Entries of the codebook, base filters, or the side of a circulant block; 0 of a tensor.
        has_scale: Whether each output channel has a scale.
    """

    kind: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    n_rows: int = 0
    has_scale: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its arrays, in the order of the file."""
        out, rest = self.shape[:1], self.shape[1:]
        scale = (Part("scale", torch.float32, out),) if self.has_scale else ()
        if self.kind == CODED:
            codebook = Part("codebook", torch.float32, (self.n_rows,))
            return (Part("indices", torch.uint8, self.shape), codebook, *scale)
        if self.kind == TIED:
            filters = Part("filters", torch.float32, (self.n_rows, *rest))
            return (filters, Part("source", torch.int16, out), Part("transform", torch.uint8, out), *scale)
        if self.kind == CIRCULANT:
            down, across = (length // max(1, self.n_rows) for length in self.shape)
            return (Part("rows", torch.float32, (down, across, self.n_rows)), *scale)
        return (Part("values", self.dtype, self.shape),)

    @property
    def decoded_bytes(self) -> int:
        """Memory of the arrays, and of the weight that they give."""
        weight = 0 if self.kind == TENSOR else 4 * math.prod(self.shape)
        return weight + sum(part.n_bytes for part in self.parts)

    def check(self) -> None:
        """Refuses shapes that no tensor should be made of.

        Raises:
            PackingError: An array has too many axes or entries, or a weight cannot be cut into its blocks.
        """
        if self.kind == CIRCULANT and (
            len(self.shape) != 2 or not self.n_rows or any(length % self.n_rows for length in self.shape)
        ):
            raise PackingError(
                f"circulant blocks of side {self.n_rows} must fill a matrix, got shape {self.shape}: the file is "
                "damaged"
            )
        for part in self.parts:
            if len(part.shape) > MOST_AXES or math.prod(max(1, length) for length in part.shape) > MOST_EXTENT:
                raise PackingError(
                    f"an array must have up to {MOST_AXES} axes and {MOST_EXTENT} entries, got shape {part.shape}: "
                    "split it"
                )


def take_apart(value: Packable) -> tuple[TensorHead, list[Patterns]]:
    """The arrays of a tensor.

    Raises:
        PackingError: The tensor is of a type or form that cannot be stored.
    """
    shape = tuple(value.shape)
    if isinstance(value, CodedWeight):
        head = TensorHead(CODED, torch.float32, shape, len(value.codebook), value.scale is not None)
        held = [value.indices, value.codebook, value.scale]
    elif isinstance(value, TiedWeight):
        head = TensorHead(TIED, torch.float32, shape, len(value.base), value.scale is not None)
        held = [value.base, value.source, value.transform, value.scale]
    elif isinstance(value, CirculantWeight):
        head = TensorHead(CIRCULANT, torch.float32, shape, value.rows.shape[2], value.scale is not None)
        held = [value.rows, value.scale]
    else:
        if value.dtype not in TYPES or value.layout != torch.strided:
            known = ", ".join(str(each).removeprefix("torch.") for each in TYPES)
            raise PackingError(
                f"a tensor must be dense and of one of the types {known}, got {value.dtype} and {value.layout}: "
                "convert it"
            )
        head, held = TensorHead(TENSOR, value.dtype, shape), [value]
    head.check()
    return head, [to_patterns(each) for each in held if each is not None]


def put_together(head: TensorHead, arrays: list[Patterns]) -> Packable:
    """The tensor of some arrays.

    Args:
        head: What is known of it.
        arrays: One per part.

    Raises:
        PackingError: They do not make such a tensor.
    """
    tensors = [to_tensor(array, part.dtype) for array, part in zip(arrays, head.parts, strict=True)]
    scale = tensors[-1] if head.has_scale else None
    if head.kind == CODED:
        return CodedWeight(tensors[0], tensors[1], scale)
    if head.kind == TIED:
        return TiedWeight(tensors[0], tensors[1], tensors[2], scale)
    if head.kind == CIRCULANT:
        return CirculantWeight(tensors[0], scale)
    return tensors[0]


def to_patterns(tensor: Tensor) -> Patterns:
    """The bits of a tensor's entries, in its shape."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    bits = flat.view(_SAME_WIDTH[tensor.dtype.itemsize]).numpy()
    patterns: Patterns = bits.view(f"u{tensor.dtype.itemsize}").reshape(tuple(tensor.shape))
    return patterns


def to_tensor(patterns: Patterns, dtype: torch.dtype) -> Tensor:
    """The inverse of `to_patterns`.

    Args:
        patterns: Of a width that fits the type.
        dtype: The type.

    Raises:
        PackingError: A truth value is neither 0 nor 1.
    """
    if dtype == torch.bool and patterns.size and int(patterns.max()) > 1:
        raise PackingError(f"a truth value must be 0 or 1, got {int(patterns.max())}: the file is damaged")
    native = patterns.astype(f"u{dtype.itemsize}", copy=not patterns.flags.writeable)
    bits = native.view("u1" if dtype.itemsize == 1 else f"i{dtype.itemsize}")
    return torch.from_numpy(np.ascontiguousarray(bits).reshape(patterns.shape)).view(dtype)
