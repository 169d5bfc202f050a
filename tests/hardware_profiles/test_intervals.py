import math

import pytest

from parefront.hardware_profiles.intervals import is_converged, order_statistic_interval, relative_half_width


@pytest.mark.parametrize(
    ("n", "k"),
    [
        # P(Binomial(6, 1/2) = 0) = 1/64 = 0.0156 <= 0.025, and with one success 7/64 is above it.
        (6, 1),
        # 1/256 <= 0.025, but (1 + 8) / 256 = 0.0352 is above it.
        (8, 1),
        # (1 + 9) / 512 = 0.0195 <= 0.025, but (1 + 9 + 36) / 512 is above it.
        (9, 2),
        # (1 + 15 + 105) / 32768 + 455 / 32768 = 0.0176 <= 0.025, one more term (1365) is above it.
        (15, 4),
        # Conover's table: P(Binomial(20, 1/2) <= 5) = 0.0207, P(<= 6) = 0.0577.
        (20, 6),
    ],
)
def test_the_interval_runs_between_the_kth_values(n: int, k: int) -> None:
    values = [float(value) for value in range(n, 0, -1)]

    assert order_statistic_interval(values, 0.95) == (k, n + 1 - k)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_sample_too_small_has_no_interval(n: int) -> None:
    # P(Binomial(5, 1/2) = 0) = 1/32 = 0.031 is above 0.025 already.
    assert order_statistic_interval([1.0] * n) == (-math.inf, math.inf)
    assert relative_half_width([1.0] * n) == math.inf


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_must_be_a_fraction(confidence: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        order_statistic_interval([1.0, 2.0], confidence)


def test_half_width_is_relative_to_the_ratio() -> None:
    # Of nine values the interval is the second to the eighth: log 2 -+ 0.01, a half-width of sinh(0.01).
    logs = [math.log(2.0) + offset for offset in (-0.5, -0.01, -0.005, -0.002, 0.0, 0.002, 0.005, 0.01, 0.5)]

    assert relative_half_width(logs) == pytest.approx(math.sinh(0.01))


def test_convergence_needs_pairs_and_precision() -> None:
    steady = [0.0] * 8

    assert is_converged(steady, half_width=0.005, min_pairs=8)
    assert not is_converged(steady[:7], half_width=0.005, min_pairs=8)
    # With eight values the interval is the whole range: one outlier of 2 % makes it 1 % wide to each side.
    assert not is_converged([*steady[:7], 0.02], half_width=0.005, min_pairs=8)
