from itertools import pairwise

import numpy as np
import pytest

from parefront.packing.optimal_intervals import optimal_intervals
from parefront.packing.sorted_values import Doubles, Positions


def squared_error(values: Doubles, masses: Doubles) -> float:
    return float((masses * (values - np.average(values, weights=masses)) ** 2).sum())


def error_of(values: Doubles, masses: Doubles, positions: Positions) -> float:
    return sum(squared_error(values[start:end], masses[start:end]) for start, end in pairwise(positions))


def least_errors(values: Doubles, masses: Doubles, most: int) -> list[float]:
    """The least error of 1, 2, … intervals: every interval and every last one are tried."""
    n = len(values)
    interval = np.full((n + 1, n + 1), np.inf)
    for start in range(n):
        for end in range(start + 1, n + 1):
            interval[start, end] = squared_error(values[start:end], masses[start:end])
    least = np.full(n + 1, np.inf)
    least[0] = 0
    found = []
    for _ in range(most):
        least = (least[:, None] + interval).min(axis=0)
        found.append(float(least[n]))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_no_partition_has_less_error(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n = int(generator.integers(20, 60))
    values = np.sort(generator.standard_t(2, n) if seed % 2 else generator.integers(0, 99, n).astype(float))
    masses = np.ones(n) if seed % 3 else generator.uniform(0.1, 5, n)
    for k, least in enumerate(least_errors(values, masses, 12), 1):
        positions = optimal_intervals(values, masses, k)
        assert len(positions) == k + 1
        assert (positions[0], positions[-1]) == (0, n)
        assert error_of(values, masses, positions) == pytest.approx(least, rel=1e-9, abs=1e-9)


def test_as_many_intervals_as_values() -> None:
    assert optimal_intervals(np.array([1.0, 2.0, 4.0]), np.ones(3), 3).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("far", [-1e7, 1e7])
def test_a_far_value_and_a_far_origin_hide_nothing(far: float) -> None:
    near = np.random.default_rng(0).normal(size=60)
    least = least_errors(np.sort(near), np.ones(60), 5)[-1]
    values = np.sort(np.append(near, far)) + 1e4
    assert error_of(values, np.ones(61), optimal_intervals(values, np.ones(61), 6)) == pytest.approx(least, rel=1e-6)
