"""Which differences can be told apart, on rows of log-ratios whose statistics are known by hand."""

import math

import pytest

from parefront.hardware_profiles import MeterProtocol
from parefront.hardware_profiles.detection.resolution import (
    DIFFERENCES,
    Stretch,
    chance_to_tell,
    cut_stretches,
    resolutions,
)


def protocol(min_pairs: int = 6, max_pairs: int = 6, half_width: float = 0.005) -> MeterProtocol:
    return MeterProtocol(min_pairs=min_pairs, max_pairs=max_pairs, half_width=half_width)


def alternating(size: float, n: int) -> list[float]:
    return [size * (-1) ** position for position in range(n)]


def test_a_silent_machine_tells_everything_apart() -> None:
    found = resolutions(cut_stretches([0.0] * 24, protocol()))
    assert [each.difference for each in found] == list(DIFFERENCES)
    assert all(each.chance == 1.0 and each.is_told_apart for each in found)


def test_a_stretch_begins_at_each_pair_and_the_row_is_a_ring() -> None:
    logs = [0.0, 0.0, 0.0, 0.0, 0.0, 6.0, 7.0]
    stretches = cut_stretches(logs, protocol())
    assert [each.start for each in stretches] == list(range(7))
    assert all(each.n_pairs == 6 for each in stretches)
    # From the last on: 7, then five zeros. The interval of six values at 95 % goes from the smallest to the largest.
    assert (stretches[6].error, stretches[6].half_width) == (0.0, 3.5)
    # From the second on: four zeros, 6 and 7. Of the 21 pairwise means ten are 0, then come four of 3.
    assert (stretches[1].error, stretches[1].half_width) == (3.0, 3.5)


def test_a_stretch_ends_when_the_protocol_would_stop() -> None:
    # 24 pairs of zeros converge at once; alternating ones of 10 % never do.
    assert {each.n_pairs for each in cut_stretches([0.0] * 24, protocol(8, 20))} == {8}
    assert {each.n_pairs for each in cut_stretches(alternating(0.1, 24), protocol(8, 20))} == {20}


def test_the_scatter_decides_what_is_told_apart() -> None:
    # Six pairs of alternating +-1 %: the median is 0, the half-width 0.01, and that of two sqrt(2) times as much.
    # ln(1.01) < 0.0141 < ln(1.03) = 0.0296.
    found = resolutions(cut_stretches(alternating(0.01, 24), protocol()))
    assert [each.chance for each in found] == [0.0, 1.0, 1.0]
    assert [each.is_told_apart for each in found] == [False, True, True]


def test_errors_of_the_measurements_count() -> None:
    # Two measurements with opposite errors of 2 % and no width: a difference of 3 % is found as 7 % or as -1 %.
    stretches = (Stretch(0, 1, 0.02, 0.001), Stretch(1, 1, -0.02, 0.001))
    assert chance_to_tell(stretches, 0.03) == 0.5
    assert chance_to_tell(stretches, 0.10) == 1.0


def test_measurements_that_share_a_pair_are_not_compared() -> None:
    # On a ring of four, lengths of two: 0 goes only with 2, and 1 with 3. All others would say no.
    errors = (0.0, 1.0, 0.0, 1.0)
    stretches = tuple(Stretch(start, 2, error, 0.001) for start, error in enumerate(errors))
    assert chance_to_tell(stretches, 0.03) == 1.0


def test_where_all_overlap_all_are_compared() -> None:
    stretches = tuple(Stretch(start, 2, 0.0, 0.001) for start in range(2))
    assert chance_to_tell(stretches, 0.03) == 1.0


def test_no_difference_is_no_alarm_on_a_silent_machine() -> None:
    assert chance_to_tell(cut_stretches([0.0] * 24, protocol()), 0.0) == 0.0


def test_too_few_pairs_tell_nothing_apart() -> None:
    stretches = cut_stretches([0.0] * 4, protocol())
    assert all(math.isinf(each.half_width) for each in stretches)
    assert [each.chance for each in resolutions(stretches)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("chance", "is_told"), [(0.95, True), (0.949, False)])
def test_told_apart_means_nineteen_times_of_twenty(chance: float, is_told: bool) -> None:
    from parefront.hardware_profiles.detection.resolution import Resolution

    assert Resolution(0.03, chance).is_told_apart is is_told
