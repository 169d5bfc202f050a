"""The entries of an array, as unsigned numbers of one to eight bytes, in the shortest of several forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError
from .number_streams import NumberStream, decode_numbers, encode_numbers

Patterns: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""The bits of entries, whatever their type: uint8, uint16, uint32 or uint64."""

RAW, PLANES, TABLE, LEVELS = range(4)
"""As they lie in memory, lowest byte first · all lowest bytes, then all second ones ... (the highest bytes of floats
are alike) · a table of the different entries, and which of them each is · float32 whole numbers that rise by one, of
which nothing but the first is stored."""
MOST_IN_TABLE = 256
MOST_LEVEL = 1 << 20
"""Whole numbers up to this one are levels."""
STREAM_BYTES = 2
"""What the directory needs for a further stream, about."""
SAMPLE = 4096
"""Entries looked at first: where they already differ too much, a table need not be tried."""


@dataclass(frozen=True, slots=True)
class ValueCode:
    """Coded entries.

    Attributes:
        form: `RAW`, `PLANES`, `TABLE` or `LEVELS`.
        streams: One of bytes, one per byte of an entry, one of places in the table, or none.
        table: The different entries, lowest byte first; empty unless the form is `TABLE`.
        first: The first level; 0 unless the form is `LEVELS`.
    """

    form: int
    streams: tuple[NumberStream, ...]
    table: bytes = b""
    first: int = 0

    @property
    def n_bytes(self) -> int:
        """Of the streams and the table."""
        return len(self.table) + sum(len(each.data) for each in self.streams)


def n_streams(form: int, item_bytes: int) -> int:
    """How many streams a form has.

    Raises:
        PackingError: There is no such form.
    """
    known = {RAW: 1, PLANES: item_bytes, TABLE: 1, LEVELS: 0}
    if form not in known or (form == LEVELS and item_bytes != 4) or (form == TABLE and item_bytes == 1):
        raise PackingError(
            f"entries of {item_bytes} bytes must be in a form within 0..{LEVELS} that they can have, got {form}: the "
            "file is damaged"
        )
    return known[form]


def encode_values(values: Patterns) -> ValueCode:
    """The shortest form.

    Args:
        values: Shape (n,).
    """
    if (first := _first_level(values)) is not None:
        return ValueCode(LEVELS, (), first=first)
    raw = ValueCode(RAW, (NumberStream(8, little_endian(values)),))
    if not len(values):
        return raw
    in_bytes = np.frombuffer(raw.streams[0].data, np.uint8).reshape(-1, values.itemsize)
    whole_bytes = values.nbytes if values.itemsize > 1 else 0
    planes = tuple(encode_numbers(np.ascontiguousarray(plane), whole_bytes) for plane in in_bytes.T)
    # Raw first: of equally short forms it is read fastest.
    found = [raw, ValueCode(PLANES, planes), *_as_table(values)]
    return min(found, key=lambda each: (each.n_bytes + STREAM_BYTES * len(each.streams), each.form))


def decode_values(code: ValueCode, count: int, item_bytes: int) -> Patterns:
    """The inverse of `encode_values`.

    Args:
        code: The entries.
        count: How many they are.
        item_bytes: Bytes of an entry.

    Raises:
        PackingError: The code is damaged.
    """
    kind = np.dtype(f"<u{item_bytes}")
    if code.form == LEVELS:
        return (code.first + np.arange(count)).astype("<f4").view("<u4")
    if code.form == RAW:
        return decode_numbers(code.streams[0], count * item_bytes).view(kind)
    if code.form == TABLE:
        return _look_up(code.table, decode_numbers(code.streams[0], count), kind)
    planes = np.empty((count, item_bytes), np.uint8)
    for place, stream in enumerate(code.streams):
        planes[:, place] = decode_numbers(stream, count)
    return planes.reshape(-1).view(kind)


def _look_up(table: bytes, places: NDArray[np.uint8], kind: np.dtype[Any]) -> Patterns:
    n_entries, rest = divmod(len(table), kind.itemsize)
    highest = int(places.max(initial=0))
    if rest or highest >= n_entries:
        raise PackingError(
            f"entries must be among the {n_entries} of a table of {len(table)} bytes, got {highest}: the file is "
            "damaged"
        )
    return np.take(np.frombuffer(table, kind), places)


def little_endian(values: Patterns) -> bytes:
    """Entries as they are stored."""
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _first_level(values: Patterns) -> int | None:
    """The first of whole numbers that rise by one; None where the entries are no such floats."""
    if values.itemsize != 4 or not 2 <= len(values) <= MOST_IN_TABLE:
        return None
    first = float(values[:1].view(np.float32)[0])
    if not abs(first) <= MOST_LEVEL or not first.is_integer():
        return None
    levels = (int(first) + np.arange(len(values))).astype(np.float32)
    return int(first) if np.array_equal(levels.view(np.uint32), values) else None


def _as_table(values: Patterns) -> list[ValueCode]:
    if values.itemsize == 1 or len(np.unique(values[:SAMPLE])) > MOST_IN_TABLE:
        return []
    different, places = np.unique(values, return_inverse=True)
    if len(different) > MOST_IN_TABLE:
        return []
    return [ValueCode(TABLE, (encode_numbers(places.astype(np.uint8)),), little_endian(different))]
