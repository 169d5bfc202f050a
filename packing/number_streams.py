"""A row of small numbers as the shortest of several codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError
from .bit_packing import pack_bits, packed_bytes, unpack_bits
from .entropy import ans, huffman, read_ans, read_huffman, table_bytes

CONSTANT = 0
"""One byte: all numbers are this one. The methods 1 to 8 are bits per number, side by side."""
HUFFMAN = {9: 8, 10: 4, 11: 2, 12: 1}
"""Method to the bits of each number within the bytes that are coded: codes of several numbers at once fit better."""
ANS = 13
LONG = 1 << 16
"""From so many numbers on speed counts: a slower code must save `WORTH`."""
WORTH = 0.01
"""Of the size. ANS codes are read at 30 to 110 million numbers per second, Huffman codes at 200, plain bits at 400 (one
core of an AMD EPYC): where they are about equally short, the faster one is taken."""


@dataclass(frozen=True, slots=True)
class NumberStream:
    """A coded row of numbers.

    Attributes:
        method: `CONSTANT`, bits per number, one of `HUFFMAN`, or `ANS`.
        data: The code.
    """

    method: int
    data: bytes


def encode_numbers(numbers: NDArray[np.uint8], whole_bytes: int = 0) -> NumberStream:
    """The shortest code.

    Args:
        numbers: Shape (n,).
        whole_bytes: Of all that the numbers are a part of, where that is more than they: what is saved is held against
            it.
    """
    if not len(numbers):
        return NumberStream(1, b"")
    counts = np.bincount(numbers)
    if counts[-1] == len(numbers):
        return NumberStream(CONSTANT, bytes([len(counts) - 1]))
    bits = plain_bits(len(counts) - 1)
    # From the fastest to the slowest.
    best = NumberStream(bits, pack_bits(numbers, bits))
    narrowest = max(method for method, width in HUFFMAN.items() if width >= bits)
    for method in sorted({narrowest, 9}, reverse=True):
        coded = huffman(pack_bits(numbers, HUFFMAN[method]))
        best = _shorter(best, NumberStream(method, coded), len(numbers), whole_bytes)
    if entropy_bits(counts) / 8 >= len(best.data):  # An ANS code is never shorter than that.
        return best
    return _shorter(best, NumberStream(ANS, ans(numbers, counts)), len(numbers), whole_bytes)


def decode_numbers(stream: NumberStream, count: int) -> NDArray[np.uint8]:
    """The inverse of `encode_numbers`.

    Args:
        stream: The code.
        count: How many numbers there are.

    Returns:
        Shape (count,); may be read only.

    Raises:
        PackingError: The code is damaged.
    """
    method, data = stream.method, stream.data
    if 1 <= method <= 8:
        return unpack_bits(data, method, count)
    if not count:
        raise PackingError(f"no numbers must be coded with method 1, got {method}: the file is damaged")
    if method == CONSTANT:
        return _read_constant(data, count)
    if method in HUFFMAN:
        bits = HUFFMAN[method]
        return unpack_bits(read_huffman(data, packed_bytes(count, bits)), bits, count)
    if method == ANS:
        return read_ans(data, count)
    raise PackingError(f"the method of a code must be within 0..{ANS}, got {method}: the file is damaged")


def stream_table_bytes(stream: NumberStream) -> int:
    """Bytes of its own table of frequencies; that of a Huffman code is part of the deflate stream and not counted."""
    return table_bytes(stream.data) if stream.method == ANS else 0


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """The least bits that a code of single numbers takes in all, without its table.

    Args:
        counts: How often each number occurs, shape (k,).
    """
    occurring = counts[counts > 0]
    return float((occurring * np.log2(occurring.sum() / occurring)).sum())


def plain_bits(highest: int) -> int:
    """Bits that each number takes at least where all take as many."""
    return max(1, highest.bit_length())


def _shorter(fast: NumberStream, slow: NumberStream, count: int, whole_bytes: int) -> NumberStream:
    least = WORTH * max(whole_bytes, len(fast.data)) if count >= LONG else 0.0
    return slow if len(fast.data) - len(slow.data) > least else fast


def _read_constant(data: bytes, count: int) -> NDArray[np.uint8]:
    if len(data) != 1:
        raise PackingError(f"a constant must be one byte, got {len(data)}: the file is damaged")
    return np.full(count, data[0], np.uint8)
