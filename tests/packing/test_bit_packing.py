import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.bit_packing import pack_bits, unpack_bits


def test_numbers_lie_side_by_side_from_the_lowest_bit() -> None:
    assert pack_bits(np.array([5, 7], np.uint8), 3) == bytes([0b111_101])
    assert pack_bits(np.array([1, 2, 3], np.uint8), 3) == bytes([0b11_010_001, 0b0])
    assert pack_bits(np.array([1, 2], np.uint8), 8) == b"\x01\x02"


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [0, 1, 7, 8, 1001])
def test_numbers_come_back(bits: int, count: int) -> None:
    numbers = (np.arange(count) * 37 % (1 << bits)).astype(np.uint8)
    data = pack_bits(numbers, bits)
    assert len(data) == -(-count * bits // 8)
    assert np.array_equal(unpack_bits(data, bits, count), numbers)


def test_other_lengths_and_bits_behind_the_end_are_refused() -> None:
    with pytest.raises(PackingError, match="3 numbers of 3 bits must take 2 bytes, got 1"):
        unpack_bits(b"\x00", 3, 3)
    with pytest.raises(PackingError, match="behind the last number must be zero"):
        unpack_bits(b"\x40", 3, 2)
