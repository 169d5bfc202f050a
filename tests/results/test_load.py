import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles.errors import ParefrontError
from parefront.results import ResultsError, Run, load
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Trial
from parefront.spaces import SearchSpace
from parefront.spaces.site import Site


@pytest.fixture
def directory(tmp_path: Path, manifest: dict[str, Any]) -> Path:
    """A run directory whose search has not ended its first trial."""
    RunDirectory(tmp_path / "begun").write_manifest({**manifest, "status": "running"})
    return tmp_path / "begun"


def test_a_run_that_has_just_begun_can_be_loaded(directory: Path) -> None:
    run = load(directory)
    assert run.directory == directory
    assert run.manifest["task"] == "digits"
    assert run.trials == ()
    assert run.problems == ()
    assert run.summary == "No trial has ended yet"


def test_a_record_that_is_gone_is_named(directory: Path, manifest: dict[str, Any]) -> None:
    RunDirectory(directory).write_manifest({**manifest, "status": "finished"})
    assert load(directory).problems == ("journal.log with its trials is missing",)


def test_the_objectives_are_those_of_the_search(run: Run) -> None:
    assert run.objectives.names == ("accuracy", "latency", "size")
    axes = [{"name": "accuracy", "max_drop": 3.0}, {"name": "latency@board", "max_drop": 5.0}]
    manifest = {**run.manifest, "goals": {"objectives": axes, "constraints": []}}
    assert replace(run, manifest=manifest).objectives.names == ("accuracy", "latency@board")


def test_trials_are_read_from_the_journal(directory: Path, run: Run, trials: list[Trial]) -> None:
    record = Record(RunDirectory(directory), SearchSpace(run.sites, (), {}))
    for trial in trials:
        record.add(trial)
    assert load(str(directory)).trials == tuple(trials)


@pytest.mark.parametrize(("exists", "got"), [(True, "without it"), (False, "which is no directory")])
def test_a_directory_without_a_run_is_refused(tmp_path: Path, exists: bool, got: str) -> None:
    path = tmp_path / "empty"
    if exists:
        path.mkdir()
    with pytest.raises(ResultsError, match=f"a run directory must hold run.json, got .*empty' {got}: start one"):
        load(path)


def test_the_runs_inside_a_directory_are_named(directory: Path) -> None:
    with pytest.raises(ResultsError, match="it holds the runs begun"):
        load(directory.parent)


def test_a_newer_schema_is_refused_with_the_version_to_use(directory: Path, manifest: dict[str, Any]) -> None:
    (directory / "run.json").write_text(json.dumps({**manifest, "schema": 2, "version": "3.1"}))
    with pytest.raises(ResultsError, match=r"schema of .* must be 1, got 2: read it with parefront 3\.1"):
        load(directory)


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "must be readable JSON"), ("[]", "must hold a JSON object, got list")]
)
def test_a_damaged_manifest_is_refused(directory: Path, text: str, reason: str) -> None:
    (directory / "run.json").write_text(text)
    with pytest.raises(ResultsError, match=reason) as error:
        load(directory)
    assert isinstance(error.value, ParefrontError)
    assert "\n" not in str(error.value)


def test_a_run_knows_its_baseline_front_and_sites(run: Run) -> None:
    assert run.baseline.number == 4
    assert [trial.number for trial in run.front] == [4, 5, 6, 7]
    assert run.sites[0] == Site("prune/conv1", ("conv1",), (64, 48, 32, 16))
    assert run.artefact(run.trials[6]) == run.artefacts / "6.onnx"
    assert run.artefact(run.trials[5]) is None  # named in the record, but not on disk


def test_a_run_without_a_baseline_says_so(run: Run) -> None:
    empty = replace(run, trials=())
    assert empty.front == []
    with pytest.raises(ResultsError, match="must hold an evaluated baseline"):
        _ = empty.baseline


def record_of(directory: Path, run: Run, trials: list[Trial]) -> Path:
    record = Record(RunDirectory(directory), SearchSpace(run.sites, (), {}))
    for trial in trials:
        record.add(trial)
    return RunDirectory(directory).journal


def test_a_damaged_line_costs_its_trial_and_is_named(directory: Path, run: Run, trials: list[Trial]) -> None:
    journal = record_of(directory, run, trials)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"\x00\x00\n", *lines[5:]]))
    loaded = load(directory)
    assert [trial.number for trial in loaded.trials] == [0, 1, 2, 4, 5, 6, 7, 8]
    assert loaded.problems == ("line 5 of journal.log is damaged: skipped",)
    # What is shown of the others is what it was.
    assert loaded.front == run.front


def test_without_its_baseline_nothing_is_shown(directory: Path, run: Run, trials: list[Trial]) -> None:
    journal = record_of(directory, run, trials)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"\n", *lines[2:]]))
    with pytest.raises(ResultsError, match=r"must hold trial 0, its baseline, but .*line 2 of journal\.log is damaged"):
        load(directory)


def test_a_manifest_that_no_search_wrote_is_refused(directory: Path, manifest: dict[str, Any]) -> None:
    for wrong in ({"space": {"sites": [{"name": "prune/a"}]}}, {"goals": {"objectives": 3}}, {"profiles": [1]}):
        (directory / "run.json").write_text(json.dumps({**manifest, **wrong}))
        with pytest.raises(
            ResultsError, match=r"run\.json must be as a search wrote it, got an error \(.*: restore it"
        ):
            load(directory)


def test_a_record_does_not_lead_out_of_the_run(run: Run, trials: list[Trial]) -> None:
    (run.directory / "secret.onnx").write_bytes(b"")
    for name in ("../secret.onnx", str(run.directory / "secret.onnx"), "..", "."):
        assert run.artefact(replace(trials[6], artefact=name)) is None


def test_files_that_are_missing_or_damaged_are_named(run: Run) -> None:
    # Of 6 there are 5 bytes, of 5 there is no file; the others never had one.
    assert run.artefact_problems(run.trials) == [
        "the file of trial 5, artefacts/5.onnx, is missing",
        "the file of trial 6, artefacts/6.onnx, is damaged: it holds 5 bytes, recorded were 62500",
    ]


def test_a_file_that_is_missing_here_is_fetched_from_its_copy(run: Run, tmp_path: Path) -> None:
    """Of the front's members only the file of trial 6 is here."""
    content = b"the model of trial 5"
    digest = hashlib.sha256(content).hexdigest()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / f"{digest}.onnx").write_bytes(content)
    trials = [
        replace(trial, details={**trial.details, "files": {"5.onnx": digest}}) if trial.number == 5 else trial
        for trial in run.trials
    ]
    copied = replace(run, manifest={**run.manifest, "artefacts": str(shared)}, trials=tuple(trials))
    assert [problem for problem in copied.artefact_problems(copied.trials) if "trial 5" in problem] == []
    assert copied.artefact(copied.trials[5]) is None
    path = copied.fetched_artefact(copied.trials[5])
    assert path is not None
    assert path.read_bytes() == content
    assert run.fetched_artefact(run.trials[6]) == run.artefact(run.trials[6])
    path.unlink()
    assert run.fetched_artefact(run.trials[5]) is None
    lost = replace(copied, manifest={**run.manifest, "artefacts": str(tmp_path / "nowhere")})
    with pytest.raises(ParefrontError, match=r"5\.onnx of trial 5 must be in .* cannot be fetched"):
        lost.fetched_artefact(lost.trials[5])
