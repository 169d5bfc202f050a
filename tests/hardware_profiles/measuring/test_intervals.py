from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from parefront.hardware_profiles.measuring.intervals import (
    centre,
    is_converged,
    relative_half_width,
    signed_rank_interval,
)


def test_the_centre_is_the_median_of_the_pairwise_means() -> None:
    # The means of 0, 1, 5 with each other and themselves: 0, .5, 1, 2.5, 3, 5.
    assert centre([5.0, 0.0, 1.0]) == pytest.approx((1.0 + 2.5) / 2)
    assert centre([3.0]) == 3.0


def test_the_centre_of_one_outlier_in_ten_stays() -> None:
    values = [float(value) for value in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert abs(centre([*values, 1e9]) - 5.0) < 1.0


@pytest.mark.parametrize("n", range(6))
def test_below_six_values_there_is_no_interval(n: int) -> None:
    assert signed_rank_interval([1.0] * n) == (-math.inf, math.inf)


def test_six_values_give_the_extremes() -> None:
    # P(W <= 0) = 1/64 is within 2.5 %, P(W <= 1) = 2/64 is not.
    assert signed_rank_interval([4.0, 2.0, 1.0, 3.0, 6.0, 5.0]) == (1.0, 6.0)


# Critical values of the signed-rank test, two-sided 5 %: largest W to reject (Hollander and Wolfe, table A.4).
@pytest.mark.parametrize(("n", "k"), [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (12, 13), (15, 25), (20, 52)])
def test_the_rank_is_that_of_the_published_tables(n: int, k: int) -> None:
    values = [2.0**position for position in range(n)]
    averages = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))
    assert signed_rank_interval(values) == (averages[k], averages[-1 - k])


def test_the_interval_covers_the_centre_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    for draw in (generator.standard_normal, lambda size: generator.standard_t(2, size)):
        intervals = (signed_rank_interval(list(draw(12))) for _ in range(4000))
        covered = np.mean([low <= 0.0 <= high for low, high in intervals])
        # The nominal 95 % is reached from above; 4000 draws are known to 1.4 points.
        assert 0.94 < covered < 0.985


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 2.0])
def test_confidence_must_be_a_probability(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must be above 0 and below 1"):
        signed_rank_interval([1.0] * 10, confidence)


def test_the_half_width_is_relative_to_the_central_ratio() -> None:
    ratios = [0.98, 0.99, 1.0, 1.0, 1.01, 1.02]
    logs = [math.log(3.0 * ratio) for ratio in ratios]
    # Six values give the extremes; the centre of the logarithms is near 3.
    middle = math.exp(centre(logs))
    assert relative_half_width(logs) == pytest.approx(3.0 * (1.02 - 0.98) / 2 / middle)


def test_stopping_needs_enough_pairs_and_a_narrow_interval() -> None:
    assert not is_converged([0.0] * 7, 0.01, min_pairs=8)
    assert is_converged([0.0] * 8, 0.01, min_pairs=8)
    assert not is_converged([-0.1, 0.1] * 4, 0.01, min_pairs=8)
