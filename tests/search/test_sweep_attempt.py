"""One attempt at one search, with a fake search in its place."""

import importlib.metadata
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from parefront.hardware_profiles import SearchError
from parefront.search.sweep_attempt import attempt
from parefront.search.sweep_directory import Event, Stop, SweepDirectory
from parefront.search.sweep_plan import SweepPlan, SweepSearch

FAKE = [sys.executable, str(Path(__file__).with_name("fake_search.py"))]
VERSION = importlib.metadata.version("parefront")


def planned(root: Path, cut: str, trials: int = 3) -> tuple[SweepSearch, SweepPlan, SweepDirectory]:
    directory = SweepDirectory(root)
    flags = {"trials": str(trials), "cut": cut, "out": str(root / "a")}
    search = SweepSearch("a", "digits", "cpu", "default", 0, flags, n_cpus=3)
    return search, SweepPlan((search,), 1, 2, root, VERSION), directory


def events(directory: SweepDirectory) -> list[str]:
    return [json.loads(line)["event"] for line in (directory.root / "a" / "attempts.jsonl").read_text().splitlines()]


def trials(directory: SweepDirectory) -> list[str]:
    return (directory.root / "a" / "trials.txt").read_text().split()


def test_a_failed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    search, plan, directory = planned(tmp_path, "once")
    with pytest.raises(SearchError, match="a: no luck today"):
        attempt(search, plan, directory, FAKE)
    assert directory.attempts("a").error == "no luck today"
    assert attempt(search, plan, directory, FAKE) is Event.FINISHED
    assert trials(directory) == ["0", "1", "2"]
    assert events(directory) == ["began", "failed", "began", "finished"]
    assert yaml.safe_load(directory.flags("a").read_text()) == dict(search.flags)


def test_what_has_finished_is_not_begun_again(tmp_path: Path) -> None:
    search, plan, directory = planned(tmp_path, "never")
    assert attempt(search, plan, directory, FAKE) is Event.FINISHED
    assert attempt(search, plan, directory, ["/no/such/program"]) is Event.FINISHED
    assert directory.attempts("a").n_begun == 1


def test_a_search_is_interrupted_and_goes_on_later(tmp_path: Path) -> None:
    search, plan, directory = planned(tmp_path, "never", trials=1000)

    def ask() -> None:
        while not (tmp_path / "a" / "trials.txt").exists():
            time.sleep(0.01)
        directory.ask_to_stop(Stop.NOW)

    asking = threading.Thread(target=ask)
    asking.start()
    assert attempt(search, plan, directory, FAKE) is Event.STOPPED
    asking.join()
    n_before = len(trials(directory))
    assert 1 <= n_before < 1000
    (tmp_path / "stop.json").unlink()
    enough = replace(search, flags={**search.flags, "trials": str(n_before + 1)})
    assert attempt(enough, plan, directory, FAKE) is Event.FINISHED
    assert trials(directory) == [str(number) for number in range(n_before + 1)]


def test_nothing_begins_once_the_sweep_is_to_stop(tmp_path: Path) -> None:
    search, plan, directory = planned(tmp_path, "never")
    directory.ask_to_stop(Stop.AFTER_SEARCHES)
    assert attempt(search, plan, directory, FAKE) is Event.STOPPED
    assert directory.attempts("a").n_begun == 0


def test_the_process_has_its_threads_and_nothing_of_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    search, plan, directory = planned(tmp_path, "never")
    show = "import os; print(os.environ['OMP_NUM_THREADS'], 'RAY_ADDRESS' in os.environ, os.getcwd())"
    attempt(search, plan, directory, [sys.executable, "-c", show])
    assert directory.output("a").read_text().split() == ["3", "False", str(tmp_path)]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL, for want of memory perhaps"),
        ("print('last words'); raise SystemExit(3)", "last words"),
        ("raise SystemExit(3)", "exit status 3, see "),
    ],
)
def test_why_a_search_failed(tmp_path: Path, code: str, reason: str) -> None:
    search, plan, directory = planned(tmp_path, "never")
    with pytest.raises(SearchError, match=f"a: {reason}"):
        attempt(search, plan, directory, [sys.executable, "-c", code])


def test_another_version_is_refused(tmp_path: Path) -> None:
    search, plan, directory = planned(tmp_path, "never")
    with pytest.raises(SearchError, match=f"sweep's version of parefront, 0.0.0, but this one has {VERSION}"):
        attempt(search, replace(plan, version="0.0.0"), directory, FAKE)
    assert directory.attempts("a").last is Event.FAILED
