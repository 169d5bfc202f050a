import math

import pytest

from parefront.hardware_profiles import Measurement, compare


def measurement(latency_ms: float, half_width: float = 0.005) -> Measurement:
    """With an interval that is symmetric in the logarithm."""
    factor = math.exp(half_width)
    return Measurement(
        latency_ms, latency_ms / factor, latency_ms * factor, 8, True, 0.0, 0.0, True, 0, "good", 1.0, 0.0, batch_size=4
    )


@pytest.mark.parametrize(
    ("first", "second", "half_width", "verdict"),
    [
        (0.97, 1.0, 0.005, "faster"),
        (1.0, 0.97, 0.005, "slower"),
        (1.0, 1.0, 0.005, "tie"),
        (1.0, 1.0, 0.05, "undecided"),
        # The log difference is .0305; two half-widths h add up to h * sqrt(2), so h decides at .0215.
        (0.97, 1.0, 0.021, "faster"),
        (0.97, 1.0, 0.022, "undecided"),
        (1.01, 1.0, 0.005, "undecided"),  # within the tie, but its interval is not
        (1.01, 1.0, 0.001, "tie"),
    ],
)
def test_the_verdict_needs_intervals_that_part(first: float, second: float, half_width: float, verdict: str) -> None:
    assert compare(measurement(first, half_width), measurement(second, half_width)) == verdict


def test_without_an_interval_nothing_is_decided() -> None:
    unknown = measurement(0.5, math.inf)
    assert compare(unknown, measurement(1.0)) == "undecided"


def test_throughput_counts_the_samples_of_a_batch() -> None:
    assert measurement(2.0).samples_per_s == 2000.0
