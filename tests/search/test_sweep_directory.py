"""What a sweep's directory tells, also after a kill."""

import json
import os
import socket
from pathlib import Path

import pytest

from parefront.hardware_profiles import SearchError
from parefront.search.sweep_directory import Event, SearchState, Stop, SweepDirectory
from parefront.search.sweep_plan import SweepPlan

PLAN = SweepPlan((), concurrency=2, retries=1, directory=Path("/work"), version="1.2")


@pytest.fixture
def directory(tmp_path: Path) -> SweepDirectory:
    directory = SweepDirectory(tmp_path / "sweep")
    directory.write(PLAN)
    return directory


@pytest.mark.parametrize(
    ("events", "while_driven", "afterwards"),
    [
        ([], "waiting", "waiting"),
        ([Event.STOPPED], "waiting", "waiting"),
        ([Event.BEGAN], "running", "interrupted"),
        ([Event.BEGAN, Event.STOPPED], "interrupted", "interrupted"),
        ([Event.BEGAN, Event.FAILED], "retrying", "failed"),
        ([Event.BEGAN, Event.FAILED, Event.BEGAN], "running", "interrupted"),
        ([Event.BEGAN, Event.FAILED, Event.GIVEN_UP], "failed", "failed"),
        ([Event.BEGAN, Event.FAILED, Event.BEGAN, Event.FINISHED], "finished", "finished"),
    ],
)
def test_the_state_of_a_search(
    directory: SweepDirectory, events: list[Event], while_driven: str, afterwards: str
) -> None:
    for event in events:
        directory.note("a", event)
    assert directory.state("a", is_driven=True) is SearchState(while_driven)
    assert directory.state("a", is_driven=False) is SearchState(afterwards)
    assert directory.attempts("a").n_begun == events.count(Event.BEGAN)


def test_half_a_line_of_a_killed_process_is_ignored(directory: SweepDirectory) -> None:
    directory.note("a", Event.BEGAN)
    directory.note("a", Event.FAILED, error="no memory")
    with (directory.root / "a" / "attempts.jsonl").open("a") as file:
        file.write('{"event": "beg')
    assert directory.attempts("a").error == "no memory"
    assert directory.attempts("a").last is Event.FAILED


def test_who_drives_is_known_while_it_lives(directory: SweepDirectory) -> None:
    assert directory.driver() == ""
    directory.ask_to_stop(Stop.NOW)
    with directory.driven():
        assert directory.driver() == f"process {os.getpid()}"
        assert directory.stop() is None  # what was asked of the one before
        directory.ask_to_stop(Stop.AFTER_SEARCHES)
        assert directory.stop() is Stop.AFTER_SEARCHES
        with pytest.raises(SearchError, match="but another one owns"), directory.driven():
            pass
    assert directory.driver() == ""


@pytest.mark.parametrize(
    ("host", "start", "driver"),
    [("", 1, ""), ("elsewhere", 1, f"process {os.getpid()} on elsewhere")],
    ids=["number used again", "another machine"],
)
def test_a_driver_that_cannot_be_ours(directory: SweepDirectory, host: str, start: int, driver: str) -> None:
    facts = {"host": host or socket.gethostname(), "pid": os.getpid(), "start": start}
    (directory.root / "driver.json").write_text(json.dumps(facts))
    assert directory.driver() == driver


def test_the_plan_is_kept_with_the_results(directory: SweepDirectory) -> None:
    directory.write(PLAN, {"searches": [1, 2]})
    assert directory.read_plan() == PLAN
    assert json.loads(directory.manifest.read_text())["searches"] == [1, 2]


def test_what_is_no_sweep_is_said(tmp_path: Path, directory: SweepDirectory) -> None:
    with pytest.raises(SearchError, match=r"must hold sweep\.json, got .* without it: begin one with"):
        SweepDirectory(tmp_path).read_plan()
    directory.manifest.write_text('{"schema": 9}')
    with pytest.raises(SearchError, match=r"schema of .* must be 1, got 9"):
        directory.read_plan()
    directory.manifest.write_text("{")
    with pytest.raises(SearchError, match=r"sweep\.json must be readable JSON"):
        directory.read_plan()
