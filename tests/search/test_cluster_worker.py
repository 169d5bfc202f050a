"""A worker that does not find the run's directory, on a real run; without Ray, which only carries what it is told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from parefront.evaluators import Evaluation, Inheritance
from parefront.hardware_profiles import HardwareProfile
from parefront.search import Fidelity, State, read_trials
from parefront.search.cluster_worker import Baggage, ClusterOrder, ClusterWorker
from parefront.search.deliveries import RunFiles
from parefront.search.ended import structure_of
from parefront.search.executor import Failure, Job, Stage
from parefront.search.reuse import MEMORY
from parefront.search.worker import WorkerFacts
from parefront.search.workers import BenchOrder
from parefront.spaces import DEFAULT_OPTIONS
from parefront.tasks import Task, baseline_file

TINY_TASK = Path(__file__).parent.parent / "tiny_task.py"


@pytest.fixture
def order(finished_run: Any, fast_profile: HardwareProfile, tmp_path: Path) -> BenchOrder:
    """As it is opened where the directory is."""
    return BenchOrder(
        str(TINY_TASK),
        (fast_profile,),
        finished_run.directory.artefacts,
        0,
        DEFAULT_OPTIONS,
        Inheritance.NONE,
        tmp_path,
    )


@pytest.fixture
def elsewhere(order: BenchOrder, tiny_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterOrder:
    """The same on a machine with nothing: no directory of the run, no trained baseline, an own temporary folder."""
    memory, references = order.artefacts / MEMORY, order.artefacts.glob("reference-*")
    baseline = baseline_file(tiny_task, tiny_task.load_data().train)
    assert baseline is not None
    baggage = Baggage(
        {path.name: path.read_bytes() for path in (memory, *references)}, (baseline.name, baseline.read_bytes())
    )
    there = tmp_path / "there"
    (there / "tmp").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(there / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(there / "tmp"))
    monkeypatch.chdir(tmp_path)  # comes back to it
    whole = ClusterOrder.of(order, lambda: baggage)
    assert whole.is_here
    moved = replace(order, artefacts=tmp_path / "gone", working_directory=tmp_path / "gone")
    return replace(whole, bench=moved)


def assert_same_network(one: Path, other: Path) -> None:
    """The same graph, and the same constants but for their last bits: one was once seen to differ on a busy machine."""
    models = [onnx.load(path) for path in (one, other)]
    constants = [{each.name: numpy_helper.to_array(each) for each in model.graph.initializer} for model in models]
    for model in models:
        model.graph.ClearField("initializer")
    assert models[0] == models[1]
    assert constants[0].keys() == constants[1].keys()
    for name, values in constants[0].items():
        if np.issubdtype(values.dtype, np.floating):
            np.testing.assert_allclose(constants[1][name], values, rtol=1e-5, atol=1e-7, err_msg=name)
        else:
            assert np.abs(constants[1][name].astype(int) - values.astype(int)).max(initial=0) <= 1, name


def test_a_worker_elsewhere_finds_what_the_run_found(
    elsewhere: ClusterOrder, finished_run: Any, tmp_path: Path
) -> None:
    trials = read_trials(finished_run.directory.journal)
    trial = next(t for t in trials[2:] if t.fidelity is Fidelity.SHORT and t.state is State.COMPLETE)
    worker, own = ClusterWorker(elsewhere), tmp_path / "own"
    own.mkdir()
    assert isinstance(worker.start(), WorkerFacts)
    job = Job(0, Stage.SHORT, trial.configuration, "trial-0", structure_of(trial, own))
    outcome = RunFiles(own).stored(worker.run(job))
    assert isinstance(outcome, Evaluation), outcome
    assert outcome.scores["accuracy"] == trial.scores["accuracy"]
    assert outcome.scores["accuracy_drop"] == trial.scores["accuracy_drop"]
    assert outcome.artefact == own / trial.artefact
    assert_same_network(finished_run.directory.artefacts / trial.artefact, outcome.artefact)
    # It trained no baseline of its own.
    assert [path.suffix for path in (tmp_path / "there" / "cache" / "parefront").iterdir()] == [".pt"]


def test_another_network_or_other_data_there_are_refused(elsewhere: ClusterOrder) -> None:
    failed = ClusterWorker(replace(elsewhere, bench=replace(elsewhere.bench, task_key="another"))).start()
    assert isinstance(failed, Failure)
    assert "all workers must have the search's network and data, but those of" in failed.reason


def test_weights_of_other_trials_are_not_to_be_had_there(elsewhere: ClusterOrder) -> None:
    bench = replace(elsewhere.bench, inheritance=Inheritance.WEIGHTS)
    failed = ClusterWorker(replace(elsewhere, bench=bench)).start()
    assert isinstance(failed, Failure)
    assert "must find those in a run directory that all workers share, but" in failed.reason
