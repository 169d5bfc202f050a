from dataclasses import replace

import pytest

from parefront.results import Run, parallel_data
from parefront.results.parallel_data import ParallelLine
from parefront.results.parallel_figure import draw_parallel


def test_a_line_goes_through_the_choices_of_a_trial(run: Run) -> None:
    data = parallel_data.parallel_data(run)
    assert data.sites == ("prune/conv1", "bits/conv1", "fold/conv1")  # nobody decided bits/fc
    assert [line.number for line in data.lines] == [1, 5, 6, 7]  # without the closed, the failed and the not verified
    assert data.lines[2] == ParallelLine(6, (1.0, 1.0, 0.0), ("16", "8", "off"), 0.75, True)
    assert not data.lines[0].is_member


def test_of_too_many_lines_the_best_are_drawn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_data, "MAX_OTHERS", 1)
    worse = replace(
        run.trials[1], number=9, scores={**run.trials[1].scores, "accuracy_drop": run.trials[7].scores["accuracy_drop"]}
    )
    data = parallel_data.parallel_data(replace(run, trials=(*run.trials, worse)))
    assert [line.number for line in data.lines if not line.is_member] == [1]
    assert data.n_left_out == 1


def test_the_lines_behind_the_front_are_one_trace(run: Run) -> None:
    figure = draw_parallel(parallel_data.parallel_data(run))
    assert [trace.name for trace in figure.data] == [
        "1 other trials",
        "#5, 0.2 pt lost",
        "#6, 0.8 pt lost",
        "#7, 3.0 pt lost",
    ]
    assert list(figure.data[0].y) == [0.0, 1.0, 0.0, None]
