import numpy as np
import pytest

from parefront.hardware_profiles.errors import PackingError
from parefront.packing.sorted_values import SortedValues, sums_from_the_middle


def test_sums_from_the_middle_lose_nothing_to_a_far_value() -> None:
    sums = sums_from_the_middle(np.array([-1e300, 1.0, 2.0, 3.0, 1e300]))
    assert np.diff(sums[1:5]).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("weights", [None, [1, 1, 1, 1, 1, 1]])
def test_equal_values_are_held_once(weights: list[int] | None) -> None:
    line = SortedValues.of(np.array([3.0, 1.0, 3.0, 3.0, 1.0, 3.0]), None if weights is None else np.array(weights))
    assert line.values.tolist() == [1.0, 3.0]
    assert line.n_distinct == 2
    assert line.masses_between(np.array([0, 1, 2])).tolist() == [2.0, 4.0]
    assert line.mean_and_variance() == pytest.approx((7 / 3, 8 / 9))
    assert line.quantiles(np.array([0.0, 0.32, 0.34, 0.99])).tolist() == [1.0, 1.0, 3.0, 3.0]


def test_a_mean_lies_within_its_values_and_an_empty_interval_has_none() -> None:
    line = SortedValues.of(np.array([0.0, 1.0, 2.0, 6.0]))
    means = line.means_between(np.array([0, 2, 2, 4]))
    assert means[[0, 2]].tolist() == [0.5, 4.0]
    assert np.isnan(means[1])
    assert line.squared_error(np.array([0, 2, 2, 4]), np.array([0.0, 9.0, 4.0])) == (0 + 1 + 4 + 4) / 4


def test_bins_reach_the_many_values_beside_a_far_one() -> None:
    line = SortedValues.of(np.append(np.linspace(0, 1, 1_000), 1e9))
    sizes = np.diff(line.bins(20))
    assert sizes.sum() == 1_001
    assert sizes.max() <= 101


def test_bins_part_no_equal_values() -> None:
    line = SortedValues.of(np.array([0.0, 1.0, 1.0, 2.0, 3.0]))
    assert line.mass is None
    assert 2 not in line.bins(16)


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        ([], None, "at least one, got none"),
        ([1.0, float("nan")], None, "values must be finite"),
        ([1.0, -float("inf")], None, "values must be finite"),
        ([1.0, 2.0], [0.0, 0.0], "at least one, got none"),
        ([1.0, 2.0], [1.0], "weights must be 2 finite numbers"),
        ([1.0, 2.0], [1.0, -1.0], "of at least 0, got 2 from -1 to 1"),
        ([1.0, 2.0], [1.0, float("nan")], "weights must be 2 finite numbers"),
    ],
)
def test_refuses_what_cannot_be_sorted(values: list[float], weights: list[float] | None, message: str) -> None:
    with pytest.raises(PackingError, match=message):
        SortedValues.of(np.array(values), None if weights is None else np.array(weights))
