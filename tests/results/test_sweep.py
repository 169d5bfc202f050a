"""What a sweep shows, from two copies of one finished search and one that never began."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.results import load
from parefront.results.sweep import Sweep, load_sweep, sweep_rows
from parefront.results.sweep_cost import Pace, estimated_s, read_paces, total_line
from parefront.results.sweep_figure import draw_sweep_front, envelope
from parefront.results.sweep_fronts import sweep_fronts
from parefront.results.sweep_report import row_cells, sweep_line, write_sweep_report
from parefront.search.sweep_directory import SweepDirectory
from parefront.search.sweep_plan import SweepPlan

from .planned_sweep import N_FINALS, N_TRIALS, planned


def test_a_row_for_each_search(sweep: Sweep, finished_run: Any) -> None:
    first, _, last = sweep_rows(sweep)
    run = load(finished_run.directory.root)
    assert (first.name, first.state, first.n_ended, first.n_planned) == ("a", "finished", 9, 9)
    assert first.headline == run.summary
    assert first.seconds == run.manifest["seconds"]["total"]
    assert 0 <= (first.hypervolume or 0) <= 1
    assert (last.state, last.error, last.n_attempts, last.n_ended) == ("failed", "no luck", 1, 0)
    assert (last.hypervolume, last.speedup, last.headline) == (None, None, "")
    assert row_cells(last) == ["failed", "0/9", "", "", "", "", "", ""]
    assert sweep_line(sweep) == "2 of 3 searches finished, 1 failed"


def test_what_two_equal_searches_found_counts_once(sweep: Sweep, finished_run: Any) -> None:
    (front,) = sweep_fronts(sweep)
    members = load(finished_run.directory.root).front
    assert (front.task, front.hardware) == ("tiny", "fast")
    assert len(front.points) == 2 * len(members)
    best = [point for point in front.points if point.is_best]
    assert {point.number for point in best} == {trial.number for trial in members}
    assert len(best) == len(members)
    assert front.shares == (("ours", len(members), 1), ("<theirs>", 0, 1))
    assert front.left_out == (("c", "no front yet"),)


def test_what_was_measured_on_another_machine_stays_apart(begin_sweep: Callable[[], SweepDirectory]) -> None:
    directory = begin_sweep()
    manifest = directory.run("b").manifest
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "fingerprint_key": "another"}))
    (front,) = sweep_fronts(load_sweep(directory.root))
    assert {point.search for point in front.points} == {"a"}
    assert front.left_out[0] == ("b", "another machine")


def test_a_run_that_cannot_be_read_is_said(begin_sweep: Callable[[], SweepDirectory]) -> None:
    directory = begin_sweep()
    directory.run("b").manifest.write_text("{")
    row = sweep_rows(load_sweep(directory.root))[1]
    assert "must be readable JSON" in row.error


def test_the_line_rises_with_the_cost(sweep: Sweep) -> None:
    (front,) = sweep_fronts(sweep)
    corners = envelope(front.points)
    assert corners == sorted(corners)
    assert [accuracy for _, accuracy in corners] == sorted(accuracy for _, accuracy in corners)


def test_the_picture_has_a_trace_for_each_setting_and_escapes_names(sweep: Sweep) -> None:
    (front,) = sweep_fronts(sweep)
    figure = draw_sweep_front(front)
    n_best = front.shares[0][1]
    names = [trace.name for trace in figure.data if trace.name]
    assert names == [f"ours (1 search, {n_best} in the front)", "&lt;theirs&gt; (1 search, 0 in the front)"]
    assert sum(len(trace.x) for trace in figure.data if trace.mode == "markers") == len(front.points)


def test_the_page_links_to_the_searches_and_tells_what_failed(begin_sweep: Callable[[], SweepDirectory]) -> None:
    page = write_sweep_report(load_sweep(begin_sweep().root)).read_text()
    assert "2 of 3 searches finished, 1 failed" in page
    assert '<a href="a/report.html">a</a>' in page
    assert "no luck" in page
    assert "<theirs>" not in page


def test_an_empty_sweep_has_a_page_too(tmp_path: Path) -> None:
    directory = SweepDirectory(tmp_path)
    directory.write(SweepPlan((planned("a", "ours"),), 1, 0, Path.cwd(), "1.2"))
    sweep = load_sweep(tmp_path)
    assert sweep_fronts(sweep) == []
    assert "No front yet" in write_sweep_report(sweep).read_text()


def test_time_is_known_from_earlier_runs_alone(sweep: Sweep) -> None:
    root = sweep.directory.root
    paces = read_paces([root])
    assert {pace.source for pace in paces} == {root / "a", root / "b"}
    seconds = load(root / "a").manifest["seconds"]["total"]
    assert paces[0].seconds == pytest.approx(seconds / (N_TRIALS + N_FINALS))
    estimate, source = estimated_s(sweep.plan.searches[0], paces)
    assert estimate == pytest.approx(seconds)
    assert str(paces[0].source) in source
    assert estimated_s(sweep.plan.searches[0], []) == (None, "unknown until a first run")


def test_the_total_is_what_runs_side_by_side() -> None:
    plan = SweepPlan((planned("a", "x"), planned("b", "x")), 2, 0, Path.cwd(), "1.2")
    paces = [Pace(Path("runs/one"), "tiny", "fast", 10.0, 20)]
    # 9 candidates and final members of 10 s are 90 s; two searches, both at once.
    assert total_line(plan, paces) == "Time: about 1 min 30 s with 2 side by side, 3 min 00 s of searching"
    assert total_line(plan, []) == "Time: unknown until a first run of these tasks on this hardware"
