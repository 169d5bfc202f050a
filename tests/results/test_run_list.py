import fcntl
from pathlib import Path
from typing import Any

import pytest

from parefront.results import ResultsError, Run
from parefront.results.run_list import list_runs
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Trial
from parefront.spaces import SearchSpace


def test_runs_in_every_state_are_listed(
    tmp_path: Path, manifest: dict[str, Any], run: Run, trials: list[Trial]
) -> None:
    folder = tmp_path / "runs"
    RunDirectory(folder / "a").write_manifest(manifest)
    record = Record(RunDirectory(folder / "a"), SearchSpace(run.sites, (), {}))
    for trial in trials:
        record.add(trial)
    RunDirectory(folder / "sweep" / "b").write_manifest({**manifest, "status": "running"})
    (folder / "c").mkdir()
    (folder / "c" / "run.json").write_text("{")
    (folder / "no run").mkdir()
    a, c, b = list_runs(folder)
    assert (a.directory.name, a.task, a.hardware, a.status) == ("a", "digits", "cpu-ort-1t", "finished")
    assert (a.n_trials, a.n_front) == (9, 4)
    assert (a.accuracy_drop_pt, a.speedup, a.size_ratio) == (0.75, pytest.approx(10), pytest.approx(16))
    assert (b.status, b.n_trials, b.speedup) == ("unfinished", 0, None)
    assert c.status == "unreadable"
    assert "run.json must be readable JSON" in c.summary
    assert a.to_json()["directory"] == str(folder / "a")


def test_a_run_is_running_while_its_search_holds_the_lock(tmp_path: Path, manifest: dict[str, Any]) -> None:
    directory = RunDirectory(tmp_path / "a")
    directory.write_manifest({**manifest, "status": "running"})
    with directory.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert list_runs(tmp_path)[0].status == "running"
    assert list_runs(tmp_path)[0].status == "unfinished"


def test_the_folder_itself_may_be_a_run(tmp_path: Path, manifest: dict[str, Any]) -> None:
    RunDirectory(tmp_path).write_manifest(manifest)
    assert [line.directory for line in list_runs(tmp_path)] == [tmp_path]


@pytest.mark.parametrize(("exists", "got"), [(True, "none"), (False, "no directory")])
def test_a_folder_without_runs_is_one_line(tmp_path: Path, exists: bool, got: str) -> None:
    folder = tmp_path if exists else tmp_path / "nowhere"
    with pytest.raises(ResultsError, match=rf"must hold a run\.json in one of its folders, got {got} in "):
        list_runs(folder)
