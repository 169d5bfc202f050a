"""The commands that list runs and trials."""

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
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import ParefrontError
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration, SearchSpace
from parefront.spaces.site import Site


def call(*arguments: object) -> Result:
    """What a command prints, in this process."""
    result: Result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.exception
    return result


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


SITES = (Site("prune/conv", ("conv",), (64, 32, 16)), Site("bits/fc", ("fc",), (32, 8)))
SMALL = Configuration.of({"prune/conv": 16, "bits/fc": 8})


def trial(
    number: int, configuration: Configuration, drop: float | None, ms: float, n_bytes: int, **fields: Any
) -> Trial:
    """One by hand; without a drop it was closed."""
    scores = [
        Score("latency_ms", ms, "ms", False, 0.99 * ms, 1.01 * ms),
        Score("size_bytes", float(n_bytes), "bytes", False),
    ]
    if drop is not None:
        scores.append(Score("accuracy", 90 - drop, "%", True, 89 - drop, 91 - drop))
        scores.append(Score("accuracy_drop", drop, "pt", False, drop - 0.5, drop + 0.5))
    state = State.DOMINATED if drop is None else State.COMPLETE
    return Trial(number, configuration, Fidelity.FULL, state, {score.name: score for score in scores}, **fields)


TRIALS = (
    trial(0, Configuration(), 0.0, 2.0, 4000, origin="baseline", artefact="baseline.onnx"),
    trial(1, SMALL, 0.75, 0.5, 1000, origin="mutation of #9", artefact="1.onnx", seconds={"train": 2.0}),
    trial(2, Configuration.of({"bits/fc": 8}), None, 1.8, 3000, origin="uniform int8", reason="cannot enter the front"),
    Trial(3, SMALL, Fidelity.SHORT, State.FAILED, origin="crossover", reason="TrainingError: loss is nan"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run directory as a search leaves it."""
    directory = RunDirectory(tmp_path / "run")
    names = ("task", "task_key", "hardware", "profile_key", "fingerprint_key", "version")
    sites = [{"name": site.name, "layers": site.layers, "choices": site.choices} for site in SITES]
    layers = [{"name": n, "kind": "conv", "macs": 9, "in_channels": 1, "out_channels": 2} for n in ("conv", "fc")]
    facts = {"space": {"sites": sites}, "layers": layers, "status": "finished"}
    directory.write_manifest({**{name: f"its {name}" for name in names}, **facts})
    record = Record(directory, SearchSpace(SITES, (), {}))
    directory.artefacts.mkdir()
    for each in TRIALS:
        record.add(each)
        if each.artefact is not None:
            (directory.artefacts / each.artefact).write_bytes(bytes(int(each.value("size_bytes"))))
    return directory.root


def test_every_trial_is_listed(root: Path) -> None:
    listed = call("trials", root).stdout
    for text in ("front: mutation of #9", "closed: uniform int8", "failed: TrainingError: loss is nan", "4.0x"):
        assert text in listed
    data = json.loads(call("trials", root, "--json").stdout)
    assert [each["number"] for each in data] == [0, 1, 2, 3]
    assert data[1]["configuration"] == {"prune/conv": 16, "bits/fc": 8}
    table = rows(call("trials", root, "--csv").stdout)
    assert [row["latency_ms"] for row in table] == ["2.0", "0.5", "1.8", ""]
    assert [row["choice:prune/conv"] for row in table] == ["64", "16", "64", "16"]


def test_the_front_as_csv_is_its_rows_of_the_table(root: Path) -> None:
    baseline, member = rows(call("front", root, "--csv").stdout)
    assert (baseline["number"], baseline["speedup"], baseline["is_baseline"]) == ("0", "1.0", "True")
    assert (member["number"], member["speedup"], member["size_ratio"], member["is_pick"]) == ("1", "4.0", "4.0", "True")


def test_one_trial_is_shown_in_full(root: Path) -> None:
    shown = " ".join(call("show", root, 1).stdout.split())
    for text in (
        "Trial 1 of",
        "mutation of #9",
        "On the front, the pick (after the full fine-tune)",
        "accuracy % 89.25 [88.25, 90.25] 90.00 0.75 pt lost [0.25, 1.25]",
        "latency ms 0.500 [0.495, 0.505] 2.000 4.0x faster",
        "conv 64→16",
        "fc int8",
        "#9 is not in the record",
        "Time: train 2.0 s",
        "artefacts/1.onnx",
    ):
        assert text in shown
    assert json.loads(call("show", root, 1, "--json").stdout)["artefact_state"] == "whole"
    (row,) = rows(call("show", root, 1, "--csv").stdout)
    assert (row["number"], row["accuracy_drop_pt"]) == ("1", "0.75")


def test_of_a_failed_trial_the_reason_is_shown(root: Path) -> None:
    shown = call("show", root, 3).stdout
    assert "Failed: TrainingError: loss is nan\n" in shown
    assert "accuracy" not in shown  # no score that was not measured
    assert "against it" not in shown


def test_words_of_others_are_printed_as_they_are(root: Path) -> None:
    """Names and messages come from the user's own code: none of it is markup."""
    record = Record(RunDirectory(root), SearchSpace(SITES, (), {}))
    reason, origin = "ValueError: [/red] and [bold] in a message", "promoted [link=x]#1"
    record.add(Trial(4, SMALL, Fidelity.SHORT, State.FAILED, origin=origin, reason=reason))
    manifest = json.loads((root / "run.json").read_text())
    (root / "run.json").write_text(json.dumps({**manifest, "task": "[/red]net", "ended_by": "[/b]", "from": "[/i]"}))
    assert reason in call("trials", root).stdout
    assert reason in call("show", root, 4).stdout
    assert origin in call("show", root, 4).stdout
    assert "[/red]net" in call("compare", root, root).stdout
    assert "[/red]net" in call("runs", root.parent).stdout


def test_what_is_missing_is_named(root: Path) -> None:
    plain = call("front", root).stdout
    (root / "artefacts" / "1.onnx").unlink()
    with (root / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":4,"work')
    result = call("front", root)
    assert result.stderr.splitlines() == [
        "warning: line 6 of journal.log is half-written, by a search that runs or was killed: skipped",
        "warning: the file of trial 1, artefacts/1.onnx, is missing",
    ]
    assert result.stdout == plain
    assert "artefacts/1.onnx, is missing" in call("show", root, 1).stdout


def test_a_run_beside_itself_is_no_better(root: Path) -> None:
    data = json.loads(call("compare", root, root, "--json").stdout)
    first, second = data["runs"]
    # Between the baseline and 4x faster and smaller, a third of the way to 64x on both axes, at 0.75 of 5 pt.
    assert first["hypervolume"] == pytest.approx(0.85 / 9)
    assert first["hypervolume"] == second["hypervolume"] == data["hypervolume_together"]
    assert [each["trial"] for each in data["front"]] == [1]
    (row,) = rows(call("compare", root, root, "--csv").stdout)
    assert (row["trial"], row["latency_ms"], row["speedup"], row["accuracy_drop_pt"]) == ("1", "0.5", "4.0", "0.75")
    shown = call("compare", root, root).stdout
    assert "The front of all" in shown
    assert "9.4" in shown


def test_runs_that_do_not_compare_say_so(root: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(root, tmp_path / "other"))
    manifest = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**manifest, "fingerprint_key": "another"}))
    told = call("compare", root, other)
    assert "No front of all: the machine differs (its fingerprint_key, another): latencies compare" in told.stdout
    assert told.stdout.count("4.0x faster and 4.0x smaller at 0.8 pt") == 2
    result = call("compare", root, other, "--csv")
    assert result.stderr.startswith("warning: there is no front of all: the machine differs")


def test_runs_are_listed_with_those_that_cannot_be_read(root: Path) -> None:
    (root.parent / "bad").mkdir()
    (root.parent / "bad" / "run.json").write_text('{"schema": 99, "version": "7.0"}')
    result = call("runs", root.parent)
    assert "bad: schema of " in result.stderr
    assert "read it with parefront 7.0" in result.stderr
    bad, good = (line.split() for line in result.stdout.splitlines() if "unreadable" in line or "finished" in line)
    assert bad == ["bad", "unreadable"]
    assert good[-6:] == ["finished", "4", "2", "0.75", "4.0x", "4.0x"]
    listed = json.loads(call("runs", root.parent, "--json").stdout)
    assert [each["status"] for each in listed] == ["unreadable", "finished"]
    assert [row["n_trials"] for row in rows(call("runs", root.parent, "--csv").stdout)] == ["0", "4"]


def test_the_table_is_written_on_demand(root: Path) -> None:
    result = call("trials", root, "--write")
    assert result.stderr == f"Written: {root / 'trials.parquet'} and {root / 'trials.csv'}\n"
    assert list(pd.read_parquet(root / "trials.parquet")["state"]) == ["complete", "complete", "dominated", "failed"]


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
