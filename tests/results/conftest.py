"""Trials by hand: a baseline of 2 ms and 1 MB, and compressed networks made from a few numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import Run, load
from parefront.results.export import export_member
from parefront.results.sweep import Sweep, load_sweep
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.sweep_directory import Event, SweepDirectory
from parefront.search.sweep_plan import SweepPlan
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import SearchSpace
from parefront.spaces.configuration import Configuration
from parefront.spaces.site import Choice

if TYPE_CHECKING:
    from playwright.sync_api import Browser
from parefront.tasks import Task

from .planned_sweep import planned

MakeTrial = Callable[..., Trial]
AXE = "axe-core@4.10.3"


def accuracy_scores(drop: float, test_drop: float | None) -> dict[str, Score]:
    """Against a baseline of 94 % on validation and 93 % on test."""
    accuracy = 94.0 - drop
    scores = {
        "accuracy": Score("accuracy", accuracy, "%", True, accuracy - 1, accuracy + 1),
        "accuracy_drop": Score("accuracy_drop", drop, "pt", False, drop - 0.5, drop + 0.5),
    }
    if test_drop is not None:
        scores["test_accuracy"] = Score("test_accuracy", 93.0 - test_drop, "%", True)
        scores["test_drop"] = Score("test_drop", test_drop, "pt", False)
    return scores


@pytest.fixture
def make_trial() -> MakeTrial:
    """A factory of trials; without `drop` it was closed as dominated, with `reason` only it failed."""

    def make(
        number: int,
        drop: float | None = None,
        latency_ms: float = 2.0,
        size_bytes: float = 1_000_000,
        choices: Mapping[str, Choice] | None = None,
        *,
        fidelity: Fidelity = Fidelity.FULL,
        test_drop: float | None = None,
        state: State | None = None,
        **fields: Any,
    ) -> Trial:
        scores = {
            "latency_ms": Score("latency_ms", latency_ms, "ms", False, latency_ms * 0.99, latency_ms * 1.01),
            "size_bytes": Score("size_bytes", size_bytes, "bytes", False),
        }
        if drop is not None:
            scores |= accuracy_scores(drop, test_drop)
        ended = state or (State.DOMINATED if drop is None else State.COMPLETE)
        if ended is State.FAILED:
            scores = {}
        return Trial(number, Configuration.of(choices or {}), fidelity, ended, scores, **fields)

    return make


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    """Two baselines, a short trial, one closed, one failed, three final members and one that was not verified."""
    slow, fast = {"bits/conv1": 8}, {"bits/conv1": 8, "prune/conv1": 16}
    return [
        make_trial(0, 0.0, fidelity=Fidelity.SHORT, origin="baseline"),
        make_trial(1, 1.5, 0.5, 250_000, slow, fidelity=Fidelity.SHORT, origin="uniform int8"),
        make_trial(
            2, None, 1.8, 900_000, {"prune/conv1": 48}, fidelity=Fidelity.SHORT, reason="cannot enter the front"
        ),
        make_trial(3, choices=slow, state=State.FAILED, fidelity=Fidelity.SHORT, reason="TrainingError: loss is nan"),
        make_trial(4, 0.0, test_drop=0.0, origin="baseline"),
        make_trial(5, 0.25, 0.5, 250_000, slow, test_drop=0.5, parent=1, is_verified=True, artefact="5.onnx"),
        make_trial(6, 0.75, 0.2, 62_500, fast, test_drop=0.75, is_verified=True, artefact="6.onnx"),
        make_trial(7, 3.0, 0.1, 31_250, {**fast, "fold/conv1": "on"}, test_drop=2.5, is_verified=True),
        make_trial(8, 0.1, 0.1, 20_000, fast, is_verified=False, reason="ExportError: parity is 71 %"),
    ]


@pytest.fixture
def manifest() -> dict[str, Any]:
    """What the engine writes, for a network of two layers."""
    return {
        "schema": 1,
        "version": "0.1.0",
        "task": "digits",
        "hardware": "cpu-ort-1t",
        "profile": {"name": "cpu-ort-1t", "runtime": {"name": "onnxruntime", "threads": 1}},
        "seed": 7,
        "sampler": "parefront",
        "n_trials": 8,
        "fingerprint": {"cpu_model": "Some CPU", "isa_flags": ["avx2", "fma"], "n_cores": 2},
        "fingerprint_key": "abcd",
        "space": {
            "sites": [
                {"name": "prune/conv1", "layers": ["conv1"], "choices": [64, 48, 32, 16]},
                {"name": "bits/conv1", "layers": ["conv1"], "choices": [32, 8]},
                {"name": "bits/fc", "layers": ["fc"], "choices": [32, 8]},
                {"name": "fold/conv1", "layers": ["conv1", "fc"], "choices": ["off", "on"]},
            ]
        },
        "layers": [
            {"name": "conv1", "kind": "conv", "macs": 1_000_000, "in_channels": 3, "out_channels": 64},
            {"name": "fc", "kind": "linear", "macs": 640, "in_channels": 64, "out_channels": 10},
        ],
        "status": "finished",
        "seconds": {"train": 60.0, "measure": 30.0, "overhead": 10.0, "total": 100.0},
        "overhead_fraction": 0.1,
    }


@pytest.fixture
def run(tmp_path: Path, manifest: dict[str, Any], trials: list[Trial]) -> Run:
    """The run of these trials, with one exported file on disk."""
    artefacts = tmp_path / "run" / "artefacts"
    artefacts.mkdir(parents=True)
    (artefacts / "6.onnx").write_bytes(b"model")
    return Run(tmp_path / "run", manifest, tuple(trials))


@pytest.fixture
def runs(tmp_path: Path, manifest: dict[str, Any], trials: list[Trial]) -> Path:
    """A folder with the run of these trials, `a`, as a search writes it: journal, one file, and a log."""
    directory = RunDirectory(tmp_path / "runs" / "a")
    directory.write_manifest(manifest)
    record = Record(directory, SearchSpace(Run(directory.root, manifest, ()).sites, (), {}))
    for trial in trials:
        record.add(trial)
    directory.artefacts.mkdir()
    (directory.artefacts / "6.onnx").write_bytes(bytes(62_500))
    entries = [
        {"time": "2026-01-01T10:00:00.000+00:00", "level": "DEBUG", "configuration": "", "message": "nobody's"},
        {"time": "2026-01-01T10:00:01.000+00:00", "level": "DEBUG", "trial": 5, "message": "another one"},
        {"time": "2026-01-01T10:00:02.000+00:00", "level": "WARNING", "trial": 6, "message": "it was slow"},
    ]
    lines = [json.dumps(entry) for entry in entries]
    directory.log.write_text("\n".join([*lines, '{"time": "2026-01-01T1']), encoding="utf-8")
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def exported(finished_run: Any, tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fastest final member in every format: `model` with each suffix, and a folder; not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    run = load(finished_run.directory.root)
    for name in ("model.onnx", "model.pt2", "model.xml", "model.pare"):
        export_member(run, "fastest", folder / name, task=tiny_task)
    export_member(run, "fastest", folder / "model", format_name="weights", task=tiny_task)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium for the tests of a page; they are skipped where there is none.

    Not for the session: while it is open, an event loop runs in this thread, and nothing else may start one.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="the pages are looked at by playwright")
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        pytest.skip("the pages are looked at in Chromium, which is not installed: apt-get install chromium")
    with playwright.sync_playwright() as started:
        # Without its sandbox, which a container's root may not open; what is loaded is written by the tests.
        chromium = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, fetched once from npm and kept in pytest's cache."""
    assert pytestconfig.cache is not None
    folder: Path = pytestconfig.cache.mkdir("axe")
    archive = folder / f"{AXE.replace('@', '-')}.tgz"
    if not archive.is_file():
        try:
            subprocess.run(
                ["npm", "pack", AXE, "--pack-destination", folder], check=True, capture_output=True, timeout=60
            )
        except (OSError, subprocess.SubprocessError):
            pytest.skip(f"accessibility is judged by {AXE}, which npm cannot fetch here")
    unpacked = subprocess.run(["tar", "xzOf", archive, "package/axe.min.js"], check=True, capture_output=True)
    return unpacked.stdout.decode()


@pytest.fixture(scope="session")
def begin_sweep(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SweepDirectory]:
    """A factory of sweeps with two finished searches, `a` and `b`, and `c` that failed before it had anything."""

    def make() -> SweepDirectory:
        directory = SweepDirectory(tmp_path_factory.mktemp("sweep"))
        searches = (planned("a", "ours"), planned("b", "<theirs>"), planned("c", "ours"))
        directory.write(SweepPlan(searches, 2, 1, Path.cwd(), "1.2"))
        for name in ("a", "b"):
            shutil.copytree(finished_run.directory.root, directory.root / name)
            for event in (Event.BEGAN, Event.FINISHED):
                directory.note(name, event)
        for event, facts in ((Event.BEGAN, {}), (Event.FAILED, {"error": "no luck"})):
            directory.note("c", event, **facts)
        return directory

    return make


@pytest.fixture(scope="session")
def sweep(begin_sweep: Callable[[], SweepDirectory]) -> Sweep:
    return load_sweep(begin_sweep().root)
