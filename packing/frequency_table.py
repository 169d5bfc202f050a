"""How often each number occurs, in whole parts of a power of two: the table from which ANS codes are read exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError

MOST_NUMBERS = 256
PRECISIONS = (8, 10, 12, 14)
"""Bits of the sum of all frequencies that a writer tries: finer tables are longer, and fit better."""
LEAST_PRECISION, MOST_PRECISION, MOST_ORDER = 1, 15, 15
"""Limits that a reader holds to."""


def rounded_frequencies(counts: NDArray[np.int64], precision: int) -> NDArray[np.int64]:
    """Frequencies with the sum `2 ** precision`, near the counts; what occurs has at least 1.

    Args:
        counts: How often each number occurs, shape (k,), at most `2 ** precision` of them above 0.
        precision: Bits.
    """
    total, occurs = 1 << precision, counts > 0
    share, rest = np.divmod(counts * total, int(counts.sum()))
    frequencies = np.where(occurs, np.maximum(share, 1), 0)
    missing = total - int(frequencies.sum())
    if missing > 0:  # The largest remainders get one each; of equals the first.
        frequencies[np.argsort(-rest, kind="stable")[:missing]] += 1
    for _ in range(-missing):
        frequencies[int(frequencies.argmax())] -= 1
    return frequencies


def pack_table(frequencies: NDArray[np.int64], precision: int) -> bytes:
    """A table as bytes: one for `precision + 16 * order`, then each frequency as an exponential Golomb code.

    Args:
        frequencies: Shape (k,), with the sum `2 ** precision`; the last is above 0.
        precision: Bits.
    """
    order = min(range(precision), key=lambda each: golomb_bits(frequencies, each))
    codes = "".join([golomb(each, order) for each in frequencies.tolist()])
    bits = np.frombuffer(codes.encode("ascii"), np.uint8) - ord("0")
    return bytes([precision + 16 * order]) + np.packbits(bits).tobytes()


def golomb_bits(numbers: NDArray[np.int64], order: int) -> int:
    """Bits that `golomb` gives numbers in all; shape (k,)."""
    n_digits = np.frexp((numbers >> order) + 1)[1]  # of a whole number, its length in binary
    return int((2 * n_digits - 1 + order).sum())


def golomb(number: int, order: int) -> str:
    """An exponential Golomb code: `(number >> order) + 1` in binary behind as many zeros as it has further digits.

    Then follow the `order` lowest bits of the number. Source: Teuhola 1978, "A compression method for clustered
    bit-vectors".
    """
    digits = f"{(number >> order) + 1:b}"
    low = f"{number & ((1 << order) - 1):0{order}b}" if order else ""
    return "0" * (len(digits) - 1) + digits + low


def unpack_table(data: bytes) -> tuple[NDArray[np.int64], int, int]:
    """Reads a table from the beginning of some data.

    Returns:
        The frequencies, shape (k,), their precision, and the bytes that the table takes.

    Raises:
        PackingError: There is no such table.
    """
    precision, order = (data[0] % 16, data[0] // 16) if data else (0, 0)
    if precision < LEAST_PRECISION:
        raise PackingError(f"a table's precision must be from 1 to 15 bits, got {precision}: the file is damaged")
    # No code is longer than `2 * 16 + order` bits, and a table has at most `MOST_NUMBERS`.
    longest = MOST_NUMBERS * (2 * (MOST_PRECISION + 1) + MOST_ORDER) // 8 + 1
    bits = "".join(f"{byte:08b}" for byte in data[1 : 1 + longest])
    frequencies: list[int] = []
    place, left = 0, 1 << precision
    while left > 0 and len(frequencies) < MOST_NUMBERS:
        found = _read_golomb(bits, place, order)
        if found is None:
            break
        frequency, place = found
        left -= frequency
        frequencies.append(frequency)
    if left or "1" in bits[place : -(-place // 8) * 8]:
        raise PackingError(
            f"the frequencies of a table must have the sum {1 << precision}, got {(1 << precision) - left}: the file "
            "is damaged"
        )
    return np.array(frequencies, np.int64), precision, 1 + -(-place // 8)


def _read_golomb(bits: str, place: int, order: int) -> tuple[int, int] | None:
    """The number whose code begins there, and where the next one begins; None where the bits end or it is too long."""
    first = bits.find("1", place)
    end = 2 * first - place + 1 + order
    if first < 0 or first - place > MOST_PRECISION or end > len(bits):
        return None
    digits, low = bits[first : end - order], bits[end - order : end]
    return (int(digits, 2) - 1 << order) + (int(low, 2) if order else 0), end
