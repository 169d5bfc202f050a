"""Sweeps of fake searches on a real Ray Tune: retries, a killed driver, what goes on, what is asked to stop."""

import importlib.metadata
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from parefront.hardware_profiles import SearchError
from parefront.search.sweep import check_room
from parefront.search.sweep_directory import SearchState, Stop, SweepDirectory
from parefront.search.sweep_plan import SweepPlan, SweepSearch
from parefront.search.workers import Workers

pytestmark = pytest.mark.cluster
DRIVER = str(Path(__file__).with_name("drive_sweep.py"))
PATIENCE_S = 90.0
LONG = 2000
"""Trials of a fake search that outlasts the test."""


def search(root: Path, name: str, cut: str, trials: int, **asked: Any) -> SweepSearch:
    flags = {"trials": str(trials), "cut": cut, "out": str(root / name)}
    return SweepSearch(name, "digits", "cpu", "default", 0, flags, **asked)


def begin(root: Path, *searches: SweepSearch) -> tuple[SweepPlan, SweepDirectory]:
    plan = SweepPlan(searches, 2, 1, Path.cwd(), importlib.metadata.version("parefront"))
    SweepDirectory(root).write(plan)
    return plan, SweepDirectory(root)


def drive(root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", DRIVER, str(root), ray.get_runtime_context().gcs_address])


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def trials(directory: SweepDirectory, name: str) -> list[str]:
    path = directory.root / name / "trials.txt"
    return path.read_text().split() if path.exists() else []


@pytest.mark.usefixtures("two_workers")
def test_a_killed_sweep_goes_on_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    searches = [search(tmp_path, "long", "never", 80), search(tmp_path, "once", "once", 3)]
    _, directory = begin(tmp_path, *searches, search(tmp_path, "always", "always", 3))
    driver = drive(tmp_path)
    wait_until(lambda: len(trials(directory, "long")) >= 3)
    driver.kill()
    driver.wait()
    assert directory.driver() == ""
    assert directory.state("long", is_driven=False) is SearchState.INTERRUPTED
    # What the killed one had started ends too.
    n_left = len(trials(directory, "long"))
    assert 3 <= n_left < 80

    assert drive(tmp_path).wait() == 0
    numbers = [str(number) for number in range(80)]
    assert trials(directory, "long") == numbers
    assert trials(directory, "once") == ["0", "1", "2"]
    states = {name: directory.state(name, is_driven=False) for name in ("long", "once", "always")}
    assert states == {"long": SearchState.FINISHED, "once": SearchState.FINISHED, "always": SearchState.FAILED}
    assert directory.attempts("always").error == "no luck today"


@pytest.mark.usefixtures("two_workers")
def test_a_sweep_that_is_asked_to_stop_ends_and_keeps_what_it_has(tmp_path: Path) -> None:
    searches = [search(tmp_path, name, "never", LONG) for name in ("first", "second", "third")]
    _, directory = begin(tmp_path, *searches)
    driver = drive(tmp_path)
    wait_until(lambda: bool(trials(directory, "first")) and bool(trials(directory, "second")))
    assert directory.driver() == f"process {driver.pid}"
    directory.ask_to_stop(Stop.NOW)
    assert driver.wait(timeout=PATIENCE_S) == 0
    states = [directory.state(each.name, is_driven=False) for each in searches]
    assert states == [SearchState.INTERRUPTED, SearchState.INTERRUPTED, SearchState.WAITING]
    assert 1 <= len(trials(directory, "first")) < LONG


def test_a_search_that_fits_nowhere_is_said_before_anything_starts(tmp_path: Path, two_workers: Workers) -> None:
    plan, _ = begin(tmp_path, search(tmp_path, "a", "never", 1, n_cpus=640))
    with pytest.raises(SearchError, match=r"room for a \(CPU 640\), but nodes and resources are .*: ask for less"):
        check_room(plan)
    plan, _ = begin(tmp_path, search(tmp_path, "a", "never", 1, devices=("board",)))
    with pytest.raises(SearchError, match=r"a: no node offers device:board; nodes and resources are"):
        check_room(plan)
    plan, _ = begin(tmp_path, search(tmp_path, "a", "never", 1, devices=("fast",)))
    check_room(plan)
