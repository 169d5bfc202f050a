"""Small numbers side by side in as few bits as the largest needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError

GROUP = 8
"""Numbers that are packed together: of w bits each they fill w whole bytes."""


def pack_bits(numbers: NDArray[np.uint8], bits: int) -> bytes:
    """Numbers in `bits` bits each: number i begins at bit `i * bits`, bits count from the lowest of the first byte.

    Args:
        numbers: Shape (n,), each below `2 ** bits`.
        bits: From 1 to 8.
    """
    if bits == GROUP:
        return numbers.tobytes()
    n_groups = -(-len(numbers) // GROUP)
    padded = np.zeros(n_groups * GROUP, np.uint64)
    padded[: len(numbers)] = numbers
    words = np.zeros(n_groups, np.uint64)
    for place, column in enumerate(padded.reshape(n_groups, GROUP).T):
        words |= column << np.uint64(place * bits)
    # A group is the lowest `bits` bytes of its word.
    packed = words.astype("<u8").view(np.uint8).reshape(n_groups, 8)[:, :bits]
    return packed.tobytes()[: packed_bytes(len(numbers), bits)]


def unpack_bits(data: bytes, bits: int, count: int) -> NDArray[np.uint8]:
    """The inverse of `pack_bits`.

    Args:
        data: What it gave.
        bits: From 1 to 8.
        count: How many numbers there are.

    Raises:
        PackingError: The data are longer or shorter, or the bits behind the last number are not zero.
    """
    if len(data) != packed_bytes(count, bits):
        raise PackingError(
            f"{count} numbers of {bits} bits must take {packed_bytes(count, bits)} bytes, got {len(data)}: the file is "
            "damaged"
        )
    if bits == GROUP:
        return np.frombuffer(data, np.uint8)
    n_groups = -(-count // GROUP)
    packed = np.zeros(n_groups * bits, np.uint8)
    packed[: len(data)] = np.frombuffer(data, np.uint8)
    words = np.zeros((n_groups, 8), np.uint8)
    words[:, :bits] = packed.reshape(n_groups, bits)
    numbers = _spread(words.view("<u8").reshape(n_groups), bits)
    if numbers[count:].any():
        raise PackingError("bits behind the last number must be zero, but some are not: the file is damaged")
    return numbers[:count]


def _spread(words: NDArray[np.uint64], bits: int) -> NDArray[np.uint8]:
    """The numbers of each word, `GROUP` of them, lowest first."""
    numbers = np.empty((len(words), GROUP), np.uint8)
    for place in range(GROUP):
        numbers[:, place] = (words >> np.uint64(place * bits)) & np.uint64((1 << bits) - 1)
    return numbers.reshape(-1)


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that so many numbers take."""
    return -(-count * bits // 8)
