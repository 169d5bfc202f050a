"""Entropy codes for small numbers: Huffman by the standard library's deflate, and ANS by constriction.

Sources: Huffman 1952, "A method for the construction of minimum-redundancy codes"; RFC 1951 (deflate); Duda 2013,
"Asymmetric numeral systems" (arXiv:1311.2540), in the streaming form with 64 bits of state and words of 32 bits.
"""

from __future__ import annotations

import zlib

import constriction
import numpy as np
from numpy.typing import NDArray

from ..hardware_profiles.errors import PackingError
from .frequency_table import MOST_NUMBERS, PRECISIONS, pack_table, rounded_frequencies, unpack_table

ANS_PRECISION = 24
"""Bits that constriction's coder holds probabilities in."""


def huffman(data: bytes) -> bytes:
    """Bytes as a raw deflate stream that uses Huffman codes only."""
    coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(data) + coder.flush()


def read_huffman(data: bytes, n_bytes: int) -> bytes:
    """The inverse of `huffman`; any raw deflate stream is read, but never more than `n_bytes` are made of it.

    Raises:
        PackingError: It is no such stream, or gives more or fewer bytes.
    """
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One more byte lets the end of the stream be seen, or that it goes on.
        found = reader.decompress(data, n_bytes + 1)
    except zlib.error as error:
        raise PackingError(f"a Huffman stream must be valid deflate data, but: {error}; the file is damaged") from error
    if len(found) != n_bytes or not reader.eof or reader.unused_data:
        raise PackingError(
            f"a Huffman stream must end after {n_bytes} bytes, got {len(found)}"
            f"{'' if reader.eof else ' and no end'}: the file is damaged"
        )
    return found


def ans(numbers: NDArray[np.uint8], counts: NDArray[np.int64]) -> bytes:
    """Numbers as a table of frequencies and the words of an ANS code, the first number on top.

    The last word's highest bytes are left out where they are zero.

    Args:
        numbers: Shape (n,), of at least two different values.
        counts: How often each value occurs, shape (k,), the last above 0.
    """
    table, frequencies, precision = _best_table(counts)
    rank = np.cumsum(counts > 0) - 1
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(rank[numbers].astype(np.int32), _model(frequencies[frequencies > 0], precision))
    words = coder.get_compressed().astype("<u4")
    return table + bytes(words.tobytes().rstrip(b"\0"))


def read_ans(data: bytes, count: int) -> NDArray[np.uint8]:
    """The inverse of `ans`.

    Args:
        data: What it gave.
        count: How many numbers there are.

    Raises:
        PackingError: The table is broken, or the words do not end with the last number.
    """
    frequencies, precision, n_table = unpack_table(data)
    occurring = np.flatnonzero(frequencies).astype(np.uint8)
    if len(occurring) < 2 or data[n_table:].endswith(b"\0"):
        raise PackingError("an ANS code must have two numbers or more, and no empty end: the file is damaged")
    code = data[n_table:]
    words = np.frombuffer(code + bytes(-len(code) % 4), "<u4").astype(np.uint32)
    coder = constriction.stream.stack.AnsCoder(words)
    ranks = coder.decode(_model(frequencies[occurring], precision), count)
    if not coder.is_empty():
        raise PackingError(f"an ANS code must end with its number {count}, but it goes on: the file is damaged")
    numbers: NDArray[np.uint8] = np.take(occurring, ranks)
    return numbers


def table_bytes(data: bytes) -> int:
    """Bytes that the table takes of what `ans` gave."""
    return unpack_table(data)[2]


def _best_table(counts: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64], int]:
    """The table with which table and code are smallest together."""
    found = []
    for precision in PRECISIONS:
        if int((counts > 0).sum()) > 1 << (precision - 1) or len(counts) > MOST_NUMBERS:
            continue
        frequencies = rounded_frequencies(counts, precision)
        table = pack_table(frequencies, precision)
        occurs = counts > 0
        bits = float((counts[occurs] * (precision - np.log2(frequencies[occurs]))).sum())
        found.append((8 * len(table) + bits, precision, table, frequencies))
    _, precision, table, frequencies = min(found, key=lambda each: each[:2])
    return table, frequencies, precision


def _model(frequencies: NDArray[np.int64], precision: int) -> constriction.stream.model.Categorical:
    """The coder's model in which each number has exactly `frequency * 2 ** (24 - precision)` parts of `2 ** 24`.

    constriction takes floats: it multiplies each by `(2 ** 24 - k) / sum`, rounds the running sums down, and adds one
    part to each of the k numbers. With whole floats of the sum `2 ** 24 - k` the factor is exactly 1 and nothing is
    rounded, so the parts are the same on every machine.
    """
    parts = frequencies << (ANS_PRECISION - precision)
    return constriction.stream.model.Categorical((parts - 1).astype(np.float64), perfect=False)
