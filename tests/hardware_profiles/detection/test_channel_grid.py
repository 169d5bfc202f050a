"""The channel grid from made-up curves whose answer is plain to see."""

import itertools
import math
from collections.abc import Callable

import pytest

from parefront.hardware_profiles.detection.channel_grid import GRIDS, excess_over_envelope, find_channel_grid

WIDTHS = range(32, 65)


def staircase(step: int) -> Callable[[int], float]:
    """Only full vectors of `step` channels are executed."""
    return lambda width: float(math.ceil(width / step))


@pytest.mark.parametrize("grid", [4, 8, 16, 32])
def test_a_staircase_has_the_grid_of_its_steps(grid: int) -> None:
    assert find_channel_grid({width: staircase(grid)(width) for width in WIDTHS}).grid == grid


@pytest.mark.parametrize("time", [float, lambda width: width**2, lambda width: 3 + width], ids=["1", "2", "offset"])
def test_a_smooth_curve_needs_no_grid(time: Callable[[int], float]) -> None:
    assert find_channel_grid({width: time(width) for width in WIDTHS}).grid == 1


def test_steps_of_a_quadratic_cost_are_found_too() -> None:
    assert find_channel_grid({width: staircase(8)(width) ** 2 for width in WIDTHS}).grid == 8


def test_dents_at_multiples_of_16_are_the_grid_though_they_rise_between() -> None:
    # As ONNX Runtime has it: 16 channels fit its blocked layout, anything else is computed by another, slower kernel.
    assert find_channel_grid({width: width * (1.0 if width % 16 == 0 else 1.3) for width in WIDTHS}).grid == 16


def test_steps_below_the_tolerance_are_not_worth_a_grid() -> None:
    # 33 as 34 is 1.5 % above the line from 32 to 34, 63 as 64 less.
    times = {width: staircase(2)(width) for width in WIDTHS}
    assert find_channel_grid(times).grid == 1
    assert find_channel_grid(times, tolerance=0.01).grid == 2


def test_scatter_within_the_tolerance_changes_nothing() -> None:
    times = {width: staircase(8)(width) * (1 + 0.01 * (-1) ** width) for width in WIDTHS}
    assert find_channel_grid(times).grid == 8


def test_what_the_grid_leaves_out_and_keeps_is_told() -> None:
    finding = find_channel_grid({width: staircase(32)(width) for width in WIDTHS})
    # The line from 1 at 32 to 2 at 64 is 1 + 1/32 at width 33, which takes 2.
    assert finding.worst_off_grid == pytest.approx(2 / (1 + 1 / 32) - 1)
    assert finding.worst_on_grid == 0.0


def test_excess_is_measured_from_the_convex_hull() -> None:
    # The hull goes from (0, 1) over (2, 1) to (4, 5): at 1 it is 1, at 3 it is 3.
    assert excess_over_envelope({0: 1.0, 1: 1.5, 2: 1.0, 3: 6.0, 4: 5.0}) == pytest.approx(
        {0: 0.0, 1: 0.5, 2: 0.0, 3: 1.0, 4: 0.0}
    )


def test_points_on_one_line_lie_on_the_hull() -> None:
    assert excess_over_envelope({1: 1.0, 2: 2.0, 3: 3.0}) == pytest.approx({1: 0.0, 2: 0.0, 3: 0.0})


@pytest.mark.parametrize("widths", [(), (32,), (33, 64), (32, 63)], ids=str)
def test_a_sweep_that_could_leave_no_grid_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must reach from one multiple of 32 to another"):
        find_channel_grid(dict.fromkeys(widths, 1.0))


def test_every_grid_divides_the_next() -> None:
    assert all(larger % smaller == 0 for smaller, larger in itertools.pairwise(GRIDS))
