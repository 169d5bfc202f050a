"""The display of a sweep: lines where there is no terminal, a panel where there is one."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from parefront.cli import sweep_progress
from parefront.cli.sweep_progress import SweepDisplay
from parefront.search.sweep_directory import Event, SweepDirectory
from parefront.search.sweep_plan import SweepPlan, SweepSearch


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDirectory:
    monkeypatch.setattr(sweep_progress, "_READ_EVERY_S", 0.0)
    searches = tuple(SweepSearch(name, "tiny", "fast", "default", 0, {}, n_trials=4, n_finals=1) for name in "ab")
    SweepDirectory(tmp_path).write(SweepPlan(searches, 2, 1, tmp_path, "1.2"))
    return SweepDirectory(tmp_path)


def test_every_change_is_one_line(directory: SweepDirectory) -> None:
    text = io.StringIO()
    display = SweepDisplay(directory.root, Console(file=text, width=80))
    with directory.driven():
        display.tick()
        directory.note("a", Event.BEGAN)
        display.tick()
        display.tick()
        directory.note("a", Event.FAILED, error="no luck [today]")
        display.tick()
        directory.note("a", Event.BEGAN)
        directory.note("a", Event.FINISHED)
        display.tick()
    assert text.getvalue().splitlines() == ["a: running", "a: retrying: no luck [today]", "a: finished"]


def test_the_panel_shows_what_runs_and_how_far_all_are(directory: SweepDirectory) -> None:
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True)
    display = SweepDisplay(directory.root, console)
    with directory.driven(), Live(console=console, auto_refresh=False) as live:
        display.live = live
        display.tick()
        for event in (Event.BEGAN, Event.FINISHED):
            directory.note("a", event)
        directory.note("b", Event.BEGAN)
        display.tick()
        live.refresh()
    shown = text.getvalue()
    assert "1 of 2 searches finished, 1 running" in shown
    assert "5/10" in shown  # all trials of a, none of b
    assert "b: baseline" in shown
    assert "left" in shown


def test_a_file_caught_half_written_is_looked_at_again(directory: SweepDirectory) -> None:
    text = io.StringIO()
    display = SweepDisplay(directory.root, Console(file=text))
    content = directory.manifest.read_text()
    directory.manifest.write_text(content[:20])
    display.tick()
    directory.manifest.write_text(content)
    directory.note("a", Event.BEGAN)
    display.tick()
    assert text.getvalue() == "a: interrupted\n"
