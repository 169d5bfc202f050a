import itertools

import pytest

from parefront.evaluators.layer_forms import Part
from parefront.evaluators.operator_times import UNTRIED, OperatorTimes
from parefront.spaces import Choice


def convolution(inner: int, outer: int, kernel: int = 3, positions: int = 256, bits: Choice = 32) -> Part:
    return Part("any", bits, (kernel, kernel), (1, 1), 1, positions, inner, outer)


def macs(part: Part) -> int:
    return part.weights * part.n_positions


@pytest.fixture
def times() -> OperatorTimes:
    """3 x 3 convolutions of 16, 32 and 64 channels at 1 µs per 10,000 MACs."""
    times = OperatorTimes()
    for inner, outer in itertools.product((16, 32, 64), repeat=2):
        part = convolution(inner, outer)
        times.add(part, macs(part) / 10_000)
    return times


def test_before_anything_is_seen_the_macs_stand_in() -> None:
    assert OperatorTimes().microseconds(convolution(16, 32)) == pytest.approx(16 * 32 * 9 * 256)


def test_a_shape_that_was_seen_has_the_median_of_its_times(times: OperatorTimes) -> None:
    for microseconds in (10.0, 11.0, 60.0):
        times.add(convolution(48, 48), microseconds)
    assert times.microseconds(convolution(48, 48)) == pytest.approx(11.0)


def test_a_proportional_law_is_recovered_between_and_beyond_the_widths(times: OperatorTimes) -> None:
    for inner, outer in ((48, 32), (16, 48), (128, 128)):
        part = convolution(inner, outer)
        assert times.microseconds(part) == pytest.approx(macs(part) / 10_000, rel=2e-3)


def test_a_kind_never_seen_follows_the_others(times: OperatorTimes) -> None:
    for part in (convolution(32, 32, kernel=5), convolution(32, 32, positions=1024)):
        assert times.microseconds(part) == pytest.approx(macs(part) / 10_000, rel=0.02)


def test_the_few_channels_of_an_image_are_not_computed_as_a_block(times: OperatorTimes) -> None:
    for part in (convolution(1, 16), convolution(3, 32), convolution(1, 64, kernel=5, positions=64)):
        assert times.microseconds(part) == pytest.approx(macs(part) / 10_000, rel=0.02)


def test_a_layer_whose_zeros_are_skipped_is_none_that_computes_with_them() -> None:
    dense, sparse = (Part("any", 32, (), (), 1, 1, 1024, 1024, density) for density in (1.0, 0.1))
    times = OperatorTimes()
    # Before one was seen, of ten weights one that takes as long as 2.5.
    assert times.microseconds(sparse) == pytest.approx(1024 * 1024 * 0.25)
    times.add(dense, 150.0)
    times.add(sparse, 30.0)
    assert (times.microseconds(dense), times.microseconds(sparse)) == (pytest.approx(150.0), pytest.approx(30.0))


def test_each_kind_has_a_law_of_its_own(times: OperatorTimes) -> None:
    # 1 x 1 convolutions take twice as long per MAC.
    for inner, outer in itertools.product((16, 32, 64), repeat=2):
        part = convolution(inner, outer, kernel=1)
        times.add(part, macs(part) / 5_000)
    assert times.microseconds(convolution(48, 48, kernel=1)) == pytest.approx(48 * 48 * 256 / 5_000, rel=0.02)
    assert times.microseconds(convolution(48, 48)) == pytest.approx(48 * 48 * 9 * 256 / 10_000, rel=0.02)


def test_each_precision_has_a_law_of_its_own(times: OperatorTimes) -> None:
    # In int8 four times as fast, seen on 3 x 3 only: 5 x 5 in int8 should be, too.
    for inner, outer in itertools.product((16, 32, 64), repeat=2):
        part = convolution(inner, outer, bits=8)
        times.add(part, macs(part) / 40_000)
    part = convolution(32, 32, kernel=5, bits=8)
    assert times.microseconds(part) == pytest.approx(macs(part) / 40_000, rel=0.05)


def test_a_part_of_a_block_of_channels_costs_a_whole_one(times: OperatorTimes) -> None:
    # 40 channels are computed as 48; nothing was seen of uneven widths.
    assert times.microseconds(convolution(40, 32)) == pytest.approx(times.microseconds(convolution(48, 32)))


def test_more_channels_never_take_less(times: OperatorTimes) -> None:
    for outer in (16, 64):
        found = [times.microseconds(convolution(inner, outer)) for inner in range(8, 129, 8)]
        # An estimate may lie a rounding below what was seen of the same number of blocks.
        assert all(wide > 0.999 * narrow for narrow, wide in itertools.pairwise(found))
        assert found[-1] > found[0]


def test_an_operator_whose_kind_was_timed_is_not_in_doubt(times: OperatorTimes) -> None:
    assert times.doubt_us(convolution(32, 32)) == 0  # at widths that were seen
    assert times.doubt_us(convolution(40, 128)) == 0  # and at others


@pytest.mark.parametrize(
    "part",
    [
        convolution(32, 32, kernel=5),
        convolution(32, 32, positions=64),
        convolution(32, 32, bits=8),
        Part("any", 32, (3, 3), (2, 2), 1, 256, 32, 32),
        Part("any", 32, (3, 3), (1, 1), 32, 256, 1, 32),
        Part("any", 32, (3, 3), (1, 1), 1, 256, 32, 32, 0.1),
    ],
)
def test_one_of_another_kind_may_take_longer_than_estimated(times: OperatorTimes, part: Part) -> None:
    estimate = times.microseconds(part)
    assert estimate + times.doubt_us(part) == pytest.approx(UNTRIED * estimate)
    times.add(part, 3.0)
    assert times.doubt_us(part) == 0
    assert times.microseconds(part) == pytest.approx(3.0)
