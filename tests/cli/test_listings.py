"""The commands that list runs and trials, on a real run."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from parefront.cli.main import app
from parefront.hardware_profiles import ParefrontError
from parefront.search.journal import read_trials
from parefront.search.trial import State


def call(*arguments: object) -> Result:
    """What a command prints, in this process."""
    result: Result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.exception
    return result


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def root(finished_run: Any) -> Path:
    directory: Path = finished_run.directory.root
    return directory


def test_a_search_leaves_its_table_and_what_was_asked(root: Path) -> None:
    n_trials = len(read_trials(root / "journal.log"))
    assert len(pd.read_parquet(root / "trials.parquet")) == n_trials
    assert len(pd.read_csv(root / "trials.csv")) == n_trials
    manifest = json.loads((root / "run.json").read_text())
    assert manifest["asked"]["trials"] == 7
    assert manifest["asked"]["stored-tables"] is False
    assert set(manifest["versions"]) >= {"python", "parefront", "torch", "onnxruntime"}


def test_every_trial_is_listed(root: Path) -> None:
    trials = read_trials(root / "journal.log")
    listed = call("trials", root).stdout
    for trial in trials:
        assert trial.origin in listed or trial.state is State.FAILED
    data = json.loads(call("trials", root, "--json").stdout)
    assert [each["number"] for each in data] == [trial.number for trial in trials]
    assert data[0]["configuration"] == {}
    table = rows(call("trials", root, "--csv").stdout)
    assert [float(row["latency_ms"]) for row in table if row["latency_ms"]] == [
        trial.value("latency_ms") for trial in trials if "latency_ms" in trial.scores
    ]


def test_the_front_as_csv_is_its_rows_of_the_table(root: Path) -> None:
    records = json.loads(call("front", root, "--json").stdout)
    table = rows(call("front", root, "--csv").stdout)
    assert [int(row["number"]) for row in table] == [record["number"] for record in records]
    assert [float(row["speedup"]) for row in table] == [record["speedup"] for record in records]
    assert [row["is_pick"] == "True" for row in table] == [record["is_pick"] for record in records]


def test_one_trial_is_shown_in_full(root: Path) -> None:
    final = next(t for t in read_trials(root / "journal.log") if t.is_verified and t.parent is not None)
    shown = " ".join(call("show", root, final.number).stdout.split())
    for text in (
        f"Trial {final.number} of",
        "accuracy %",
        "against it",
        "what was done",
        "Why: promoted from #",
        "Time: ",
    ):
        assert text in shown
    assert f"artefacts/{final.artefact}" in shown
    data = json.loads(call("show", root, final.number, "--json").stdout)
    assert data["artefact_state"] == "whole"
    assert data["configuration"] == dict(final.configuration)
    (row,) = rows(call("show", root, final.number, "--csv").stdout)
    assert int(row["number"]) == final.number


def test_a_missing_file_is_named(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    final = next(t for t in read_trials(root / "journal.log") if t.is_verified and t.parent is not None)
    (copy / "artefacts" / str(final.artefact)).unlink()
    with (copy / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":4,"work')
    result = call("front", copy)
    assert f"warning: the file of trial {final.number}, artefacts/{final.artefact}, is missing" in result.stderr
    assert "of journal.log is half-written, by a search that runs or was killed: skipped" in result.stderr
    assert result.stdout == call("front", root).stdout
    assert "is missing" in call("show", copy, final.number).stdout


def test_a_run_beside_itself_is_no_better(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    data = json.loads(call("compare", root, copy, "--json").stdout)
    assert data["is_comparable"] is True
    first, second = data["runs"]
    assert first["hypervolume"] == second["hypervolume"] == data["hypervolume_together"]
    assert len(rows(call("compare", root, copy, "--csv").stdout)) == len(data["front"])
    assert "The front of all" in call("compare", root, copy).stdout
    (copy / "run.json").write_text(
        (copy / "run.json").read_text().replace('"fingerprint_key": "', '"fingerprint_key": "x')
    )
    told = call("compare", root, copy)
    assert "No front of all: the machine differs" in told.stdout
    assert "warning: there is no front of all: the machine differs" in call("compare", root, copy, "--csv").stderr


def test_runs_are_listed_with_those_that_cannot_be_read(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text('{"schema": 99, "version": "7.0"}')
    result = call("runs", tmp_path)
    assert "read it with parefront 7.0" in result.stderr
    assert "unreadable" in result.stdout
    bad, good = json.loads(call("runs", tmp_path, "--json").stdout)
    assert (bad["status"], good["status"]) == ("unreadable", "finished")
    assert [row["n_trials"] for row in rows(call("runs", tmp_path, "--csv").stdout)] == ["0", str(good["n_trials"])]


def test_the_table_is_written_on_demand(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    (copy / "trials.parquet").unlink()
    result = call("trials", copy, "--write")
    assert result.stderr == f"Written: {copy / 'trials.parquet'} and {copy / 'trials.csv'}\n"
    pd.testing.assert_frame_equal(pd.read_parquet(copy / "trials.parquet"), pd.read_parquet(root / "trials.parquet"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "RUN", "99"), "the trial must be one of .*, got 99"),
        (("trials", "RUN", "--json", "--csv"), "a listing has one format"),
        (("compare", "RUN"), "a comparison must have at least 2 runs, got 1"),
        (("runs", "RUN/artefacts"), "must hold a run.json in one of its folders, got none"),
        (("trials", "RUN/artefacts"), "a run directory must hold run.json"),
    ],
)
def test_bad_input_is_one_line(root: Path, arguments: tuple[str, ...], message: str) -> None:
    given = [each.replace("RUN", str(root)) for each in arguments]
    result = CliRunner().invoke(app, given)
    assert isinstance(result.exception, ParefrontError)
    line = str(result.exception)
    assert "\n" not in line
    with pytest.raises(ParefrontError, match=message):
        raise result.exception


def test_profiles_are_listed_as_csv() -> None:
    listed = rows(call("hardware", "list", "--csv").stdout)
    assert "cpu-ort-1t" in [row["name"] for row in listed]
    assert {row["precisions"] for row in listed} >= {"fp32 int8"}
