from dataclasses import replace

import pytest

from parefront.results import Run
from parefront.results.dashboard_front import RING, _Spot, live_front, thinned


def test_the_picture_holds_the_front_and_the_others(run: Run) -> None:
    picture = live_front(run, run.trials, 2)
    numbers = {trace.name: list(trace.customdata) for trace in picture.figure.data if trace.customdata is not None}
    assert numbers == {
        "front": [5, 7],
        "fastest within 1 pt": [6],
        "baseline": [4],
        "dominated or less trained": [1],
        "closed before training": [2],
    }
    *_, ring = picture.figure.data
    assert (ring.name, list(ring.x), list(ring.y), ring.yaxis) == (RING, [1.8], [0.0], "y2")
    assert picture.left_out == ""


def test_limits_leave_points_out_but_never_the_baseline(run: Run) -> None:
    kept = [trial for trial in run.trials if not trial.configuration or trial.number == 1]
    picture = live_front(run, kept, None)
    numbers = {trace.name: list(trace.customdata) for trace in picture.figure.data if trace.customdata is not None}
    # The run reports networks after the full training, so the short one is none of the front.
    assert numbers["baseline"] == [4]
    assert numbers["dominated or less trained"] == [1]
    assert "front" not in numbers


def test_before_the_baseline_there_is_a_sentence(run: Run) -> None:
    figure = live_front(replace(run, trials=()), (), None).figure
    assert "baseline has not been evaluated" in figure.layout.annotations[0].text


@pytest.mark.parametrize("y", [90.0, None])
def test_of_many_at_one_place_the_latest_stands_for_all(y: float | None) -> None:
    crowd = [_Spot(i, 1.0, y) for i in range(50)]
    others = [_Spot(100 + i, 2.0 + i, None if y is None else y + i) for i in range(5)]
    found = thinned([*crowd, *others], most=20)
    assert [spot.number for spot in found] == [49, 100, 101, 102, 103, 104]
    assert thinned(others, most=5) == others


def test_never_more_are_drawn_than_asked_for() -> None:
    spots = [_Spot(i, 1.0 + (i % 100) / 10, 50.0 + i // 100) for i in range(10_000)]
    assert 0 < len(thinned(spots, most=300)) <= 300
