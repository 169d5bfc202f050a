from dataclasses import replace

from parefront.results import Run
from parefront.results.time_data import TimeGroup, time_data
from parefront.results.time_figure import draw_time


def test_the_seconds_are_summed_by_kind_and_stage(run: Run) -> None:
    seconds = {0: {"measure": 1.0}, 2: {"measure": 2.0}, 5: {"train": 3.0, "measure": 1.0}, 6: {"train": 4.0}}
    trials = tuple(replace(trial, seconds=seconds.get(trial.number, {})) for trial in run.trials)
    reused = replace(trials[5], number=9, details={"from": "runs/a #5"})  # its time was spent elsewhere
    groups = time_data(replace(run, trials=(*trials, reused)))
    assert groups == (
        TimeGroup("baseline", 2, {"measure": 1.0}),
        TimeGroup("closed early", 1, {"measure": 2.0}),
        TimeGroup("full fine-tune", 4, {"train": 7.0, "measure": 1.0}),
        TimeGroup("the search itself", 0, {"overhead": 10.0}),
    )
    figure = draw_time(groups)
    assert [trace.name for trace in figure.data] == ["train", "measure", "overhead"]
    assert figure.layout.xaxis.title.text == "wall time (s)"
    assert list(figure.data[0].x) == [7.0]
    assert list(figure.data[0].y) == ["full fine-tune (4) · 8.0 s"]


def test_without_times_the_picture_says_so() -> None:
    assert "No time" in draw_time(()).layout.annotations[0].text
