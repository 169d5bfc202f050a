import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.gaps import GAP_BITS, check_positions, from_gaps, to_gaps


def test_gaps_by_hand() -> None:
    # Skipped before each: 0, 2 and 8 = 3 + 3 + 2, as 3 is the highest of 2 bits.
    assert to_gaps(np.array([0, 3, 12]), 2).tolist() == [0, 2, 3, 3, 2]
    assert to_gaps(np.array([3]), 2).tolist() == [3, 0]
    assert from_gaps(np.array([0, 2, 3, 3, 2], np.uint8), 2).tolist() == [0, 3, 12]
    assert to_gaps(np.array([], np.int64), 2).tolist() == from_gaps(np.array([], np.uint8), 2).tolist() == []


@pytest.mark.parametrize("bits", GAP_BITS)
def test_positions_come_back(bits: int) -> None:
    positions = np.flatnonzero(np.random.default_rng(0).random(20_000) < 0.01)
    numbers = to_gaps(positions, bits)
    assert numbers.max() == (1 << bits) - 1
    assert np.array_equal(from_gaps(numbers, bits), positions)


def test_the_fillers_are_as_many_as_expected() -> None:
    """Of independent entries of density d: (1-d)^L / (1 - (1-d)^L) fillers each, at L positions per filler."""
    positions = np.flatnonzero(np.random.default_rng(0).random(400_000) < 0.1)
    expected = 0.9**15 / (1 - 0.9**15)  # 0.2593
    found = len(to_gaps(positions, 4)) / len(positions) - 1
    assert found == pytest.approx(expected, abs=0.01)  # deviation 0.003


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PackingError, match="gaps of 2 bits must be up to 3, got 4"):
        from_gaps(np.array([4], np.uint8), 2)
    with pytest.raises(PackingError, match="must lead to 2 of 9 entries, got 1, the last at 3"):
        check_positions(np.array([3]), 2, 9)
    with pytest.raises(PackingError, match="must lead to 1 of 9 entries, got 1, the last at 9"):
        check_positions(np.array([9]), 1, 9)
