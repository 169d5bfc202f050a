"""An array in the shortest form: all entries, or those that differ from the most frequent one and where they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError
from .gaps import GAP_BITS, check_positions, from_gaps, to_gaps
from .number_streams import (
    LONG,
    WORTH,
    NumberStream,
    decode_numbers,
    encode_numbers,
    entropy_bits,
    plain_bits,
)
from .value_codes import Patterns, ValueCode, decode_values, encode_values

ROWS, COLUMNS = range(2)
"""Entries one after the other as they lie in memory, or with the first axis last: input by input."""
LEAST_SKIPPED = 0.4
"""Share of the entries that must be equal for gaps to be tried; below, they are never shorter."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the entries lie that are stored.

    Attributes:
        order: `ROWS` or `COLUMNS`.
        bits: Of a gap, see `gaps`.
        n_gaps: How many numbers there are, with those that only go on.
        n_kept: How many entries are stored.
        skipped: The entry that all others are; of one-byte entries the stored ones above it are less by one.
        gaps: The numbers.
    """

    order: int
    bits: int
    n_gaps: int
    n_kept: int
    skipped: int
    gaps: NumberStream


@dataclass(frozen=True, slots=True)
class ArrayCode:
    """A coded array.

    Attributes:
        values: The entries, or those that are stored.
        placement: Where these lie; None where all are stored.
    """

    values: ValueCode
    placement: Placement | None = None

    @property
    def n_bytes(self) -> int:
        """Of all streams and tables."""
        return self.values.n_bytes + (len(self.placement.gaps.data) if self.placement else 0)


def encode_array(entries: Patterns) -> ArrayCode:
    """The shortest form.

    Args:
        entries: Any shape.
    """
    dense = ArrayCode(encode_values(entries.reshape(-1)))
    skipped = _most_frequent(entries)
    if skipped is None:
        return dense
    orders = (ROWS, COLUMNS) if entries.ndim > 1 else (ROWS,)
    sparse = min((_with_gaps(entries, skipped, order) for order in orders), key=lambda each: each.n_bytes)
    # Few numbers are read faster than many, so that they may take a little more.
    is_faster = entries.size >= LONG and 2 * _n_numbers(sparse) < entries.size
    most = dense.n_bytes * (1 + WORTH) if is_faster else dense.n_bytes
    return sparse if sparse.n_bytes < most else dense


def decode_array(code: ArrayCode, shape: tuple[int, ...], item_bytes: int) -> Patterns:
    """The inverse of `encode_array`.

    Args:
        code: The array.
        shape: Its shape.
        item_bytes: Bytes of an entry.

    Returns:
        The entries, of that shape; may be read only.

    Raises:
        PackingError: The code is damaged.
    """
    n_entries = math.prod(shape)
    if code.placement is None:
        return decode_values(code.values, n_entries, item_bytes).reshape(shape)
    placement = code.placement
    if placement.n_gaps > n_entries:  # Known before memory is taken for them.
        raise PackingError(f"there must be up to {n_entries} gaps, got {placement.n_gaps}: the file is damaged")
    positions = from_gaps(decode_numbers(placement.gaps, placement.n_gaps), placement.bits)
    check_positions(positions, placement.n_kept, n_entries)
    values = decode_values(code.values, placement.n_kept, item_bytes)
    if item_bytes == 1:
        values = values + (values >= placement.skipped)
    entries = np.full(n_entries, placement.skipped, f"<u{item_bytes}")
    entries[positions] = values
    return in_order(entries, shape, placement.order)


def in_order(entries: Patterns, shape: tuple[int, ...], order: int) -> Patterns:
    """A row of entries in a shape.

    Args:
        entries: Shape (n,).
        shape: Of n entries.
        order: The one that they come in, `ROWS` or `COLUMNS`.
    """
    if order == ROWS:
        return entries.reshape(shape)
    return np.ascontiguousarray(np.moveaxis(entries.reshape(*shape[1:], shape[0]), -1, 0))


def _most_frequent(entries: Patterns) -> int | None:
    """The entry that may be skipped: of bytes the most frequent, else zero; None where it is too rare."""
    if not entries.size:
        return None
    if entries.itemsize > 1:
        found, count = 0, entries.size - int(np.count_nonzero(entries))
    else:
        counts = np.bincount(entries.reshape(-1))
        found, count = int(counts.argmax()), int(counts.max())
    return found if count >= LEAST_SKIPPED * entries.size else None


def _with_gaps(entries: Patterns, skipped: int, order: int) -> ArrayCode:
    row = (np.moveaxis(entries, 0, -1) if order == COLUMNS else entries).reshape(-1)
    positions = np.flatnonzero(row != skipped)
    values = row[positions]
    if entries.itemsize == 1:
        values = values - (values > skipped)
    bits, numbers = _shortest_gaps(positions, entries.size)
    gaps = encode_numbers(numbers)
    placement = Placement(order, bits, len(numbers), len(positions), skipped, gaps)
    return ArrayCode(encode_values(values), placement)


def _n_numbers(code: ArrayCode) -> int:
    """Gaps and entries that are stored."""
    return code.placement.n_gaps + code.placement.n_kept if code.placement else 0


def _shortest_gaps(positions: NDArray[np.int64], n_entries: int) -> tuple[int, NDArray[np.uint8]]:
    """The bits of a gap with which the numbers are shortest; of large arrays the fewest numbers that are nearly so."""
    found = [(_estimated_bits(numbers), bits, numbers) for bits in GAP_BITS for numbers in (to_gaps(positions, bits),)]
    shortest = min(found, key=lambda each: each[:2])
    if n_entries < LONG:
        return shortest[1:]
    near = [each for each in found if each[0] <= shortest[0] * (1 + WORTH)]
    return min(near, key=lambda each: len(each[2]))[1:]


def _estimated_bits(numbers: NDArray[np.uint8]) -> float:
    """What an entropy code would take, with about 8 bits of table per different number."""
    counts = np.bincount(numbers, minlength=1)
    coded = entropy_bits(counts) + 8 * np.count_nonzero(counts)
    return float(min(coded, len(numbers) * plain_bits(len(counts) - 1)))
