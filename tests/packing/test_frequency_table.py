import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.frequency_table import golomb, pack_table, rounded_frequencies, unpack_table


@pytest.mark.parametrize(
    ("counts", "precision", "expected"),
    [
        ([3, 1], 2, [3, 1]),
        ([1, 0, 1], 3, [4, 0, 4]),
        ([1, 1, 1], 2, [2, 1, 1]),  # of equal remainders the first
        ([1000, 1, 1], 3, [6, 1, 1]),  # what occurs has one part at least
    ],
)
def test_frequencies_keep_the_sum(counts: list[int], precision: int, expected: list[int]) -> None:
    assert rounded_frequencies(np.array(counts), precision).tolist() == expected


def test_codes_by_hand() -> None:
    assert [golomb(number, 0) for number in (0, 1, 5)] == ["1", "010", "00110"]
    assert golomb(5, 2) == "010" + "01"


def test_a_table_by_hand() -> None:
    # Of order 1: 2 is 010 and 0, each 1 is 1 and 1; of order 0 it would take 9 bits.
    table = pack_table(np.array([2, 1, 1]), 2)
    assert table == bytes([2 + 16, 0b0100_11_11])
    frequencies, precision, n_bytes = unpack_table(table + b"more")
    assert (frequencies.tolist(), precision, n_bytes) == ([2, 1, 1], 2, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "precision must be from 1 to 15 bits, got 0"),
        (bytes([2]), "must have the sum 4, got 0"),  # nothing follows
        (bytes([2, 0b0000_0000, 0, 0, 0, 0]), "must have the sum 4, got 0"),  # no code is so long
        (bytes([2, 0b00111_000]), "must have the sum 4, got 6"),  # 6 at once
        (bytes([2, *[255] * 64]), "must have the sum 4, got 0"),  # zeros for ever
        (bytes([1, 0b011_00001]), "must have the sum 2, got 2"),  # bits behind the end
    ],
)
def test_a_broken_table_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(PackingError, match=message):
        unpack_table(data)
