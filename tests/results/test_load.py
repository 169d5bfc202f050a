import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles.errors import ParefrontError
from parefront.results import ResultsError, Run, load, to_frame
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Trial
from parefront.spaces import SearchSpace
from parefront.spaces.site import Site


@pytest.fixture
def directory(tmp_path: Path, manifest: dict[str, Any]) -> Path:
    """A run directory whose search has not ended its first trial."""
    RunDirectory(tmp_path / "begun").write_manifest(manifest)
    return tmp_path / "begun"


def test_a_run_that_has_just_begun_can_be_loaded(directory: Path) -> None:
    run = load(directory)
    assert run.directory == directory
    assert run.manifest["task"] == "digits"
    assert run.trials == ()
    assert run.summary == "No trial has ended yet"


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


def test_the_table_has_a_row_per_trial_and_units_in_its_columns(run: Run) -> None:
    frame = to_frame(run)
    assert list(frame.index) == list(range(9))
    assert frame.loc[6, "accuracy_percent"] == 93.25
    assert frame.loc[6, "accuracy_percent_low"] == 92.25
    assert frame.loc[6, "accuracy_drop_pt"] == 0.75
    assert frame.loc[6, "latency_ms_high"] == pytest.approx(0.202)
    assert frame.loc[6, "size_bytes"] == 62_500
    assert frame.loc[6, "prune/conv1"] == 16
    assert frame.loc[3, "state"] == "failed"
    assert frame["accuracy_percent"].isna().sum() == 2


def test_the_table_of_no_trials_is_empty(run: Run) -> None:
    assert to_frame(replace(run, trials=())).empty
