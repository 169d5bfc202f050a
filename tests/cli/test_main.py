"""The command line as a user meets it: the installed program, in processes of its own."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from parefront.search import RunDirectory, read_trials

Parefront = Callable[..., subprocess.CompletedProcess[str]]
TESTS = Path(__file__).parent.parent
TINY_TASK, FAST_PROFILE = TESTS / "tiny_task.py", TESTS / "fast.yaml"


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refused command leaves on the error stream."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_help_is_quick_and_lists_the_commands(parefront: Parefront) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = parefront("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert done.returncode == 0
    commands = ("search", "front", "show", "compare", "export", "verify", "report", "inspect", "compress", "hardware")
    for command in commands:
        assert command in done.stdout
    assert "Exit codes: 0 done; 1 refused or failed" in done.stdout


def test_the_shell_completes_commands(program: str) -> None:
    typed = {"_PAREFRONT_COMPLETE": "complete_bash", "COMP_WORDS": "parefront sh", "COMP_CWORD": "1"}
    done = subprocess.run([program], capture_output=True, text=True, check=False, env={**os.environ, **typed})
    assert (done.returncode, done.stdout.split()) == (0, ["show"])


def test_who_has_read_enough_is_not_told_off(program: str) -> None:
    listing = subprocess.Popen(
        [program, "hardware", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert listing.stdout is not None
    listing.stdout.close()
    assert listing.stderr is not None
    assert listing.stderr.read() == ""
    listing.stderr.close()
    listing.wait(timeout=60)


def test_rungs_that_make_no_sense_are_one_line(parefront: Parefront) -> None:
    line = error_line(parefront("search", "digits", "--trials", "5", "--shorts", "6"))
    assert "n_short must be at most the 5 candidates, got 6: leave it out" in line
    line = error_line(parefront("search", "digits", "--promotion", "ranks"))
    assert "unknown promotion rule 'ranks': known promotion rules are " in line


def test_the_version_is_the_package_s(parefront: Parefront) -> None:
    assert parefront("--version").stdout == f"parefront {version('parefront')}\n"


# --- bad input: one line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "digit"), "unknown task 'digit': known tasks are digits, "),
        (("hardware", "show", "cpu-ort-3t"), "unknown profile 'cpu-ort-3t': known profiles are "),
        (("front", "nowhere"), "a run directory must hold run.json, got 'nowhere'"),
        (("search", "resnet18@cifar"), "unknown data set 'cifar': known data sets are cifar10, "),
    ],
    ids=["task", "profile", "run", "data set"],
)
def test_an_unknown_name_is_one_line(
    parefront: Parefront, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in error_line(parefront(*arguments, cwd=tmp_path))


def test_an_unknown_sampler_is_refused_at_once(parefront: Parefront, tmp_path: Path) -> None:
    command = ("search", TINY_TASK, "--hardware", FAST_PROFILE, "--sampler", "nsga9", "--out", tmp_path / "x")
    line = error_line(parefront(*command))
    assert "unknown sampler 'nsga9': known samplers are nsga" in line
    assert "tables" in line
    assert not (tmp_path / "x").exists()


def test_a_mistake_in_the_task_s_own_code_is_one_line_with_its_place(parefront: Parefront) -> None:
    line_number = 1 + next(i for i, line in enumerate(TINY_TASK.read_text().splitlines()) if "no such folder" in line)
    line = error_line(parefront("inspect", f"{TINY_TASK}:broken_data"))
    assert "FileNotFoundError: no such folder: /data/mine" in line
    assert f"{TINY_TASK}:{line_number}" in line


# --- hardware and inspect


def test_profiles_are_listed_and_shown(parefront: Parefront) -> None:
    listed = parefront("hardware", "list")
    assert listed.returncode == 0, listed.stderr
    assert "cpu-ort-1t " in listed.stdout
    shown = yaml.safe_load(parefront("hardware", "show", FAST_PROFILE).stdout)
    assert shown["name"] == "fast"
    assert shown["protocol"]["burst_ms"] == 2.0


def test_inspect_lists_the_sites(parefront: Parefront, tmp_path: Path) -> None:
    done = parefront("inspect", TINY_TASK, "--hardware", FAST_PROFILE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for text in ("prune", "bits", "rank", "fold", "block.conv1", "hidden", "left alone because"):
        assert text in done.stdout
    assert done.stdout.startswith("5 layers, 0.3 M MACs")  # 312,448 by hand, see test_workbench
    assert list(tmp_path.iterdir()) == []


def test_inspect_answers_targets_and_says_what_is_reached(parefront: Parefront, tmp_path: Path) -> None:
    targets = ("--max-size", "1kB", "--min-speedup", "0.5", "--max-latency-ms", "1e9")
    done = parefront("inspect", TINY_TASK, "--hardware", FAST_PROFILE, *targets, cwd=tmp_path)
    assert done.returncode == 0, done.stderr  # a target that cannot be met is an answer, not a mistake
    for text in ("neutral", "middle", "smallest", "at most 1.0 kB: cannot be met", "0.5x faster: can be met"):
        assert text in done.stdout


# --- compress


def test_compress_writes_a_verified_file_and_its_configuration(parefront: Parefront, tmp_path: Path) -> None:
    target = tmp_path / "out" / "model.onnx"
    settings = {
        "task": str(TINY_TASK),
        "hardware": str(FAST_PROFILE),
        "set": {"bits/*": 8, "prune/hidden": "50%", "fold/block.conv1": True},
        "fidelity": "short",
        "to": str(target),
    }
    config = tmp_path / "compress.yaml"
    config.write_text(yaml.safe_dump(settings).replace(": true", ": on"))
    done = parefront("compress", "--config", config)
    assert done.returncode == 0, done.stderr
    headline = next(line for line in done.stdout.splitlines() if line)
    for text in ("smaller at", "pt of accuracy", "validation, short fine-tune", "on test"):
        assert text in headline
    assert "Not set: bits/block.conv2: fold/block.conv1=on merges" in done.stdout
    for row in ("validation accuracy %", "lost on test, pt", "latency ms", "size", "4 of 4 planned", "verified"):
        assert row in done.stdout
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {session.get_inputs()[0].name: np.ones((3, 1, 8, 8), np.float32)})
    assert outputs.shape == (3, 4)
    choices = json.loads(target.with_suffix(".json").read_text())["choices"]
    assert choices["prune/hidden"] == 16
    assert choices["fold/block.conv1"] == "on"
    assert sorted(path.name for path in target.parent.iterdir()) == ["model.json", "model.onnx"]


# --- search, front, export, report


def test_search_prints_the_summary_first_then_the_front_and_the_report(finished_run: Any) -> None:
    lines = [line for line in finished_run.output.splitlines() if line.strip()]
    assert "of accuracy" in lines[0]
    assert "smaller" in lines[0]
    assert "accuracy %" in lines[1]
    assert "baseline" in finished_run.output
    assert lines[-1] == f"Report: {finished_run.directory.root / 'report.html'}"
    assert (finished_run.directory.root / "report.html").stat().st_size > 10_000
    # Plain lines, where the output is no terminal: one per trial.
    assert sum(line.startswith(("[search ", "[final members ")) for line in finished_run.progress.splitlines()) == 9


def test_search_leaves_its_trials_as_a_table_and_what_was_asked(finished_run: Any) -> None:
    root = finished_run.directory.root
    n_trials = len(read_trials(finished_run.directory.journal))
    assert len((root / "trials.csv").read_text().splitlines()) == 1 + n_trials
    assert (root / "trials.parquet").read_bytes().startswith(b"PAR1")
    manifest = finished_run.directory.read_manifest()
    assert (manifest["asked"]["trials"], manifest["asked"]["stored-tables"]) == (7, False)
    assert set(manifest["versions"]) >= {"python", "parefront", "torch", "onnxruntime"}


def test_run_again_it_evaluates_nothing_and_says_the_same(
    parefront: Parefront, finished_run: Any, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(finished_run.directory.root, tmp_path / "copy"))
    again = parefront(*finished_run.command[:-1], copy)
    assert again.returncode == 0, again.stderr
    assert read_trials(copy / "journal.log") == read_trials(finished_run.directory.journal)
    before, after = (text.strip().splitlines() for text in (finished_run.output, again.stdout))
    n_same = next(i for i, line in enumerate(before) if line.startswith("Time "))
    assert after[:n_same] == before[:n_same]
    assert "[search" not in again.stderr  # nothing was evaluated


def test_front_as_a_table_and_as_json(parefront: Parefront, finished_run: Any) -> None:
    root = finished_run.directory.root
    table = parefront("front", root).stdout
    assert table.splitlines()[0] == finished_run.output.strip().splitlines()[0]
    records = json.loads(parefront("front", root, "--json").stdout)
    assert records[0]["is_baseline"] is True
    trials = {trial.number: trial for trial in read_trials(finished_run.directory.journal)}
    for record in records:
        trial = trials[record["number"]]
        assert record["accuracy"]["value"] == trial.value("accuracy")
        assert record["size_bytes"] == trial.value("size_bytes")
        assert record["artefact"] == trial.artefact
        assert record["why"]["chain"][0]["number"] == record["number"]


def test_front_says_why(parefront: Parefront, finished_run: Any) -> None:
    root = finished_run.directory.root
    plain, told = parefront("front", root).stdout, parefront("front", root, "--why").stdout
    assert told.startswith(plain)
    assert "promoted from #" in told
    assert "Which decisions matter" in told
    data = json.loads(parefront("front", root, "--why", "--json").stdout)
    assert data["front"] == json.loads(parefront("front", root, "--json").stdout)
    assert set(data["importance"]) == {"accuracy", "latency", "size"}


@pytest.mark.parametrize("pick", ["knee", "number", "accuracy_drop<=100pt"])
def test_export_writes_a_file_that_runs(parefront: Parefront, finished_run: Any, tmp_path: Path, pick: str) -> None:
    if pick == "number":
        final = next(t for t in read_trials(finished_run.directory.journal) if t.parent is not None)
        pick = str(final.number)
    target = tmp_path / "model.onnx"
    done = parefront("export", finished_run.directory.root, "--pick", pick, "--to", target)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{target}: #")
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {session.get_inputs()[0].name: np.ones((1, 1, 8, 8), np.float32)})
    assert outputs.shape == (1, 4)
    done = parefront("verify", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{target}: verified; 2 files as exported; ")
    target.write_bytes(target.read_bytes()[:-1])
    assert "model.onnx must be as it was exported" in error_line(parefront("verify", target))


def test_a_bad_pick_is_one_line(parefront: Parefront, finished_run: Any, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    line = error_line(parefront("export", finished_run.directory.root, "--pick", "best", "--to", target))
    assert "--pick must be knee, fastest, smallest, a trial number, or limits such as " in line
    assert not target.exists()


def test_report_writes_html(parefront: Parefront, finished_run: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = parefront("report", finished_run.directory.root, "--out", page)
    assert done.stdout == f"Report: {page}\n"
    text = page.read_text()
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert "tiny" in text


def test_report_writes_figures(parefront: Parefront, finished_run: Any, tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    done = parefront("report", finished_run.directory.root, "--figures", figures, "--format", "html")
    assert f"Figure: {figures / 'network.html'}" in done.stdout.splitlines()
    assert all(Path(line.partition(": ")[2]).is_file() for line in done.stdout.splitlines())
    refused = parefront("report", finished_run.directory.root, "--figures", figures, "--format", "gif")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """Programs heed SIGINT: a shell that runs the tests in the background has it ignored, and what they start too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_ctrl_c_keeps_the_trials_and_says_how_to_go_on(program: str, finished_run: Any, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    command = [program, *finished_run.command[:-1], str(directory.root)]
    # A group of its own, because a terminal sends the signal to everything that the command started.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if directory.journal.is_file() and len(directory.journal.read_bytes().splitlines()) >= 4:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors + output
    assert errors.splitlines()[-1] == "Stopped. Every ended trial is kept; the same command goes on from here."
    assert len(read_trials(directory.journal)) >= 3
    manifest = directory.read_manifest()
    assert manifest is not None
    assert manifest["status"] == "stopped"


def test_a_limit_in_time_needs_its_unit(parefront: Parefront, tmp_path: Path) -> None:
    line = error_line(parefront("search", TINY_TASK, "--max-time", "90", "--out", tmp_path / "run"))
    assert "a duration must be a number above 0 and its unit, got '90': write for instance 90s or 2h" in line
    assert not (tmp_path / "run").exists()
