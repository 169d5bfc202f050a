import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.array_codes import COLUMNS, ROWS, ArrayCode, Placement, decode_array, encode_array
from parefront.packing.number_streams import NumberStream
from parefront.packing.value_codes import RAW, Patterns, ValueCode

CHANCE = np.random.default_rng(0)
RARE = CHANCE.random((50, 40)) < 0.02


def test_few_entries_by_hand() -> None:
    """Two of eight entries are kept: the third, and the seventh; between them 3 lie, which is the highest of 2 bits."""
    placement = Placement(ROWS, 2, n_gaps=3, n_kept=2, skipped=5, gaps=NumberStream(2, bytes([0b00_11_10])))
    # 5 is left out, so that 5 and 6 stand for 6 and 7.
    code = ArrayCode(ValueCode(RAW, (NumberStream(8, bytes([4, 6])),)), placement)
    assert decode_array(code, (2, 4), 1).tolist() == [[5, 5, 4, 5], [5, 5, 7, 5]]


def test_entries_may_come_column_by_column() -> None:
    placement = Placement(COLUMNS, 2, n_gaps=2, n_kept=2, skipped=0, gaps=NumberStream(2, bytes([0b01_00])))
    code = ArrayCode(ValueCode(RAW, (NumberStream(8, bytes([1, 0, 2, 0])),)), placement)
    # Entries 0 and 2 of column by column: the first of both columns.
    assert decode_array(code, (2, 2), 2).tolist() == [[1, 2], [0, 0]]


@pytest.mark.parametrize(
    ("entries", "order"),
    [
        (CHANCE.integers(1, 9, (50, 40)).astype(np.uint8), None),
        (np.where(RARE, 3, 7).astype(np.uint8), ROWS),
        (np.where(RARE, CHANCE.integers(0, 256, RARE.shape), 0).astype(np.uint8), ROWS),
        (np.where(RARE, CHANCE.standard_normal(RARE.shape), 0).astype(np.float32).view(np.uint32), None),
        (np.zeros((50, 40), np.uint64), ROWS),
        # Half of the entries of few columns: column by column they are near to each other, row by row they are not.
        (
            np.where(np.isin(np.arange(40), (2, 9, 17, 30)), CHANCE.integers(0, 2, (50, 40)), 0).astype(np.uint8),
            COLUMNS,
        ),
        (np.uint32(0).reshape(()), None),
        (np.empty((0, 3), np.uint16), None),
    ],
)
def test_arrays_come_back(entries: Patterns, order: int | None) -> None:
    code = encode_array(entries)
    found = decode_array(code, entries.shape, entries.itemsize)
    assert found.shape == entries.shape
    assert np.array_equal(found, entries)
    if order is not None:
        assert code.placement
        assert code.placement.order == order


def test_more_gaps_than_entries_are_refused_before_they_are_read() -> None:
    placement = Placement(ROWS, 2, n_gaps=1 << 60, n_kept=0, skipped=0, gaps=NumberStream(0, b"\x03"))
    with pytest.raises(PackingError, match=f"up to 8 gaps, got {1 << 60}"):
        decode_array(ArrayCode(ValueCode(RAW, (NumberStream(8, b""),)), placement), (8,), 1)
