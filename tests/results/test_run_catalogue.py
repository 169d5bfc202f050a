import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from parefront.results import ResultsError
from parefront.results.run_catalogue import RunCatalogue
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Trial


def append_trial(directory: RunDirectory, number: int, **changes: Any) -> None:
    """One more line of the journal: its last trial again under another number."""
    *_, last = directory.journal.read_text(encoding="utf-8").splitlines()
    line = json.loads(last)
    line["user_attrs"] = {name: {**trial, "number": number, **changes} for name, trial in line["user_attrs"].items()}
    with directory.journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def test_a_run_is_read_again_only_when_it_changed(runs: Path, trials: list[Trial]) -> None:
    catalogue = RunCatalogue(runs)
    first, stamp, all_runs = catalogue.run("a"), catalogue.stamp("a"), catalogue.stamp()
    assert first.trials == tuple(trials)
    assert catalogue.run("a") is first
    append_trial(RunDirectory(runs / "a"), 9, origin="a new one")
    assert catalogue.stamp("a") != stamp
    assert catalogue.stamp() != all_runs
    again = catalogue.run("a")
    assert again.trials[-1].origin == "a new one"
    assert all(old is new for old, new in zip(first.trials, again.trials, strict=False))  # not read twice
    assert catalogue.lines()["a"].n_trials == 10


def test_runs_in_every_state_have_a_line(runs: Path, manifest: dict[str, Any]) -> None:
    directory = RunDirectory(runs / "sweep" / "b")
    directory.write_manifest({**manifest, "status": "running"})
    (runs / "c").mkdir()
    (runs / "c" / "run.json").write_text("{")
    catalogue = RunCatalogue(runs)
    assert {name: line.status for name, line in catalogue.lines().items()} == {
        "a": "finished",
        "c": "unreadable",
        "sweep/b": "unfinished",
    }
    stamp = catalogue.stamp()
    with directory.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert catalogue.lines()["sweep/b"].status == "running" == catalogue.status("sweep/b")
        assert catalogue.stamp() != stamp
    with pytest.raises(ResultsError, match=r"run\.json must be readable JSON"):
        catalogue.run("c")


def test_a_folder_may_itself_be_a_run(runs: Path) -> None:
    assert list(RunCatalogue(runs / "a").lines()) == ["."]


@pytest.mark.parametrize("name", ["..", "../runs/a", "/etc", "a/../a", "a/artefacts", "", "A", "a\0", "%2e%2e"])
def test_names_are_looked_up_and_never_followed(runs: Path, name: str) -> None:
    catalogue = RunCatalogue(runs)
    with pytest.raises(ResultsError, match="unknown run"):
        catalogue.run(name)
    with pytest.raises(ResultsError, match="unknown run"):
        catalogue.artefact(name, 6)


def test_only_what_the_record_names_is_handed_out(runs: Path) -> None:
    catalogue = RunCatalogue(runs)
    assert catalogue.artefact("a", 6) == runs / "a" / "artefacts" / "6.onnx"
    for number, why in (
        (5, "missing"),
        (7, "the trial has none"),
        (8, "failed its check: ExportError"),
        (99, "got 99"),
    ):
        with pytest.raises(ResultsError, match=why):
            catalogue.artefact("a", number)
    (runs / "a" / "artefacts" / "6.onnx").write_bytes(b"half")
    with pytest.raises(ResultsError, match="damaged"):
        catalogue.artefact("a", 6)


@pytest.mark.parametrize("name", ["../run.json", "/etc/passwd", "..", "sub/6.onnx"])
def test_a_record_cannot_lead_out_of_the_artefacts(runs: Path, name: str) -> None:
    append_trial(RunDirectory(runs / "a"), 9, artefact=name, is_verified=None, scores={})
    with pytest.raises(ResultsError, match="is not handed out"):
        RunCatalogue(runs).artefact("a", 9)


def test_links_that_lead_out_are_refused(runs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(62_500))
    file = runs / "a" / "artefacts" / "6.onnx"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(ResultsError, match="is not handed out: it is not in the run's directory"):
        RunCatalogue(runs).artefact("a", 6)
    outside = tmp_path / "elsewhere"
    os.rename(runs / "a", outside)
    (runs / "a").symlink_to(outside)
    catalogue = RunCatalogue(runs)
    assert catalogue.lines()["a"].status == "unreadable"
    with pytest.raises(ResultsError, match="a leads out of it"):
        catalogue.run("a")
    (runs / "b").mkdir()
    (runs / "b" / "run.json").symlink_to(outside / "run.json")
    with pytest.raises(ResultsError, match=r"b/run\.json leads out"):
        catalogue.run("b")


def test_the_log_of_a_trial_is_its_own_entries(runs: Path, trials: list[Trial]) -> None:
    catalogue = RunCatalogue(runs)
    assert [entry["message"] for entry in catalogue.log("a", trials[6])] == ["it was slow"]
    assert catalogue.log("a", trials[1]) == []
    (runs / "a" / "log.jsonl").unlink()
    assert catalogue.log("a", trials[6]) == []
