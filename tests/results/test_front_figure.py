import math
from dataclasses import replace

import pytest

from parefront.results.figures import draw_front, front_data
from parefront.results.front_figure import accuracy_range, log_ticks
from parefront.search.goals import parse_goals
from parefront.search.trial import Trial


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.09, 2.4, [0.1, 0.2, 0.5, 1, 2]),
        (3, 4, [3, 4]),
        (0.028, 0.062, [0.03, 0.04, 0.05, 0.06]),
        (10, 100, [10, 20, 50, 100]),
    ],
)
def test_ticks_are_numbers_that_read_well(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == ticks


def test_the_view_holds_the_front_with_its_intervals(trials: list[Trial]) -> None:
    # Members from 91 - 1 to 94 + 1: a span of 5, 30 % of it below and 8 % above.
    assert accuracy_range(front_data(trials)) == pytest.approx((90 - 1.5, 95 + 0.4))


def test_the_picture_has_a_trace_for_each_kind(trials: list[Trial]) -> None:
    figure = draw_front(front_data(trials))
    assert [trace.name for trace in figure.data[1:]] == [
        "dominated or less trained",
        "front",
        "fastest within 1 pt",
        "baseline",
        "closed before training",
    ]
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.range == pytest.approx((math.log10(0.1 / 1.15), math.log10(2.0 * 1.15)))
    assert list(figure.data[2].error_x.array) == pytest.approx([0.005, 0.001])


def test_the_area_of_a_bubble_is_the_size(trials: list[Trial]) -> None:
    marker = draw_front(front_data(trials)).data[2].marker
    assert marker.sizemode == "area"
    assert list(marker.size) == [250_000, 31_250]


def test_the_axis_is_the_main_cost(trials: list[Trial]) -> None:
    figure = draw_front(front_data(trials, parse_goals(["accuracy", "size"], ["accuracy_drop<=3pt"], ["cpu"])))
    assert figure.layout.xaxis.title.text == "file size (kB, log scale)"
    assert "smallest within 3 pt" in [trace.name for trace in figure.data]
    assert "3 pt lost" in [note.text for note in figure.layout.annotations]
    marker = figure.data[1].marker
    assert set(marker.size) == {1.0}
    assert marker.sizeref == pytest.approx(7 / 38**2 * 2)  # the area of each is a seventh of the largest one's


def test_a_name_cannot_bring_markup_into_the_picture(trials: list[Trial]) -> None:
    figure = draw_front(front_data([trials[0], replace(trials[1], origin="<b>bold")]))
    assert "<b>bold" not in "".join(text for trace in figure.data for text in trace.hovertext or ())


def test_without_a_baseline_the_picture_says_so() -> None:
    figure = draw_front(front_data([]))
    assert not figure.data
    assert "baseline" in figure.layout.annotations[0].text
