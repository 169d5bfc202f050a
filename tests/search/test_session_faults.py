"""Failing candidates, kills and what goes on after them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from parefront.search import Fidelity, RunDirectory, State, Trial, read_trials
from parefront.tasks import load_task

from .conftest import N_FINALS, N_TRIALS, TINY_TASK, copied


def test_a_fine_tune_that_diverges_is_a_failed_trial(search: Callable[..., list[Trial]], tmp_path: Path) -> None:
    trials = search(RunDirectory(tmp_path), task=load_task(f"{TINY_TASK}:hasty"), n_trials=2, n_final=1)
    assert [trial.state for trial in trials[2:]] == [State.FAILED] * 2
    for trial in trials[2:]:
        assert "must stay finite" in trial.reason
        assert "lower the learning rate" in trial.reason
        assert "accuracy" not in trial.scores


def test_a_failing_export_is_a_failed_trial(
    search: Callable[..., list[Trial]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = OnnxRuntimeCpu.export

    def failing(self: OnnxRuntimeCpu, module: Any, example_input: Any, plan: Any, path: Path) -> None:
        if path.name == "trial-2.onnx":
            raise RuntimeError("operator aten::frobnicate\nis not supported")
        export(self, module, example_input, plan, path)

    monkeypatch.setattr(OnnxRuntimeCpu, "export", failing)
    trials = search(RunDirectory(tmp_path), n_trials=2, n_final=0)
    assert [trial.state for trial in trials[2:]] == [State.FAILED, State.COMPLETE]
    assert trials[2].reason == (
        "ExportError: the network could not be exported: RuntimeError: operator aten::frobnicate is not supported"
    )


def test_a_kill_between_the_two_baseline_trials_is_mended(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    copy = copied(finished, tmp_path)
    lines = copy.journal.read_bytes().splitlines(keepends=True)
    position = next(i for i, line in enumerate(lines) if b"baseline, full fine-tune" in line)
    copy.journal.write_bytes(b"".join(lines[:position]) + lines[position][:100])
    kept = read_trials(finished.journal)[0]
    trials = search(copy, n_trials=0, n_final=0)
    assert trials[0] == kept
    assert [(trial.number, trial.fidelity) for trial in trials] == [(0, Fidelity.SHORT), (1, Fidelity.FULL)]


def test_more_trials_may_be_added_later(
    finished: RunDirectory, search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    copy = copied(finished, tmp_path)
    before = read_trials(finished.journal)
    # What a kill in the middle of a write leaves: a lock and half a line.
    Path(f"{copy.journal}.lock").touch()
    with copy.journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    trials = search(copy, n_trials=N_TRIALS + 1)
    assert trials[: len(before)] == before
    assert len(trials) == len(before) + 1
    assert trials[-1].configuration not in {trial.configuration for trial in before}
    assert copy.journal.with_suffix(".cut").read_bytes() == b'{"op_code":4,"worker'


def test_a_killed_search_goes_on_without_losing_or_repeating_a_trial(
    program: str, tmp_path: Path, finished_run: Any
) -> None:
    directory = RunDirectory(tmp_path / "run")
    command = [program, *finished_run.command[:-1], str(directory.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    n_wanted = 5
    while time.monotonic() < deadline and process.poll() is None:
        if directory.journal.is_file() and len(directory.journal.read_bytes().splitlines()) >= 1 + n_wanted:
            break
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it must have been killed in mid-run"
    killed = read_trials(directory.journal)
    assert n_wanted <= len(killed) < 2 + N_TRIALS + N_FINALS

    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    trials = read_trials(directory.journal)
    assert trials[: len(killed)] == killed
    assert [trial.number for trial in trials] == list(range(2 + N_TRIALS + N_FINALS))
    searched = [t.configuration for t in trials if t.fidelity is Fidelity.SHORT]
    assert len(set(searched)) == len(searched) == 1 + N_TRIALS
    promoted = [t.parent for t in trials if t.parent is not None]
    assert len(set(promoted)) == len(promoted) == N_FINALS
    manifest = json.loads(directory.manifest.read_text())
    assert manifest["status"] == "finished"
    # Killed or not, the ladder is the same; what comes after it depends on measured times.
    whole = read_trials(finished_run.directory.journal)
    assert [t.configuration for t in trials[:8]] == [t.configuration for t in whole[:8]]
    assert os.path.getsize(directory.artefacts / "baseline.onnx") == trials[0].value("size_bytes")
