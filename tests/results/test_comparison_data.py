from dataclasses import replace
from pathlib import Path

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import ResultsError, Run
from parefront.results.comparison_data import ComparedPoint, compare_profiles, compare_runs
from parefront.results.comparison_figure import draw_comparison


def measured_on_board(run: Run) -> Run:
    """On the board everything takes ten times as long, but trial 5 takes only as long as trial 7."""
    factor = {5: 2.0}
    trials = tuple(
        replace(
            t, scores={**t.scores, name: Score(name, t.value("latency_ms") * factor.get(t.number, 10.0), "ms", False)}
        )
        if t.scores
        else t
        for t in run.trials
        for name in ["latency_ms@board"]
    )
    manifest = {**run.manifest, "profiles": [{"hardware": "cpu-ort-1t"}, {"hardware": "board"}]}
    return replace(run, manifest=manifest, trials=trials)


def test_a_run_has_a_front_on_each_profile(run: Run) -> None:
    here, board = compare_profiles(measured_on_board(run)).fronts
    assert (here.name, here.baseline_ms) == ("cpu-ort-1t", 2.0)
    assert [point.number for point in here.points] == [5, 6, 7]
    assert here.points[1] == ComparedPoint(6, 0.2, 0.75, 10.0)
    assert (board.name, board.baseline_ms) == ("board", 20.0)
    assert [(point.number, point.speedup) for point in board.points] == [(5, 20.0)]  # loses less, and is as fast


def test_one_profile_is_nothing_to_compare(run: Run) -> None:
    assert compare_profiles(run).fronts == ()
    assert "Nothing to compare" in draw_comparison(compare_profiles(run)).layout.annotations[0].text


def test_runs_are_named_after_their_directories(run: Run) -> None:
    other = replace(run, directory=run.directory.parent / "other")
    assert [front.name for front in compare_runs([run, other]).fronts] == ["run", "other"]
    same = replace(run, directory=Path("elsewhere/run"))
    assert [front.name for front in compare_runs([run, same]).fronts] == [str(run.directory), "elsewhere/run"]
    assert compare_runs([run, other]).caution == ""


def test_different_machines_are_said(run: Run) -> None:
    other = replace(run, directory=Path("b"), manifest={**run.manifest, "fingerprint_key": "other"})
    data = compare_runs([run, other])
    assert data.caution == "The runs are of different machines: compare speed-ups, not milliseconds"
    assert data.caution in [note.text for note in draw_comparison(data).layout.annotations]


def test_one_run_cannot_be_compared(run: Run) -> None:
    with pytest.raises(ResultsError, match="at least 2 runs, got 1"):
        compare_runs([run])
