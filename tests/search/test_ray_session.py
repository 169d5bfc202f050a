"""A whole search on two workers, by the command line, on a Ray that runs already."""

import json
from pathlib import Path
from typing import Any

import pytest
import ray

from parefront.cli.search import workers_of
from parefront.hardware_profiles import SearchError
from parefront.search import Fidelity, RunDirectory, State, read_trials
from parefront.search.workers import LOCAL, Workers
from parefront.tasks import Resources

pytestmark = pytest.mark.cluster
TESTS = Path(__file__).parent.parent
N_TRIALS, N_FINALS = 4, 2


@pytest.fixture(scope="module")
def run_on_workers(two_workers: Workers, parefront: Any, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    address = ray.get_runtime_context().gcs_address
    root = tmp_path_factory.mktemp("runs") / "tiny"
    done = parefront(
        *("search", TESTS / "tiny_task.py", "--hardware", TESTS / "fast.yaml", "--out", root),
        *("--trials", N_TRIALS, "--finals", N_FINALS, "--remeasure", 0, "--no-stored-tables"),
        *("--workers", 2, "--address", address, "--trial-timeout", "100s"),
    )
    assert done.returncode == 0, done.stderr
    return RunDirectory(root)


def test_every_candidate_is_one_trial(run_on_workers: RunDirectory) -> None:
    trials = read_trials(run_on_workers.journal)
    assert [trial.number for trial in trials] == list(range(2 + N_TRIALS + N_FINALS))
    candidates = [trial for trial in trials if trial.fidelity is Fidelity.SHORT and trial.configuration]
    assert len({trial.configuration for trial in candidates}) == N_TRIALS
    assert {trial.state for trial in candidates} <= {State.COMPLETE, State.DOMINATED}
    files = [trial.artefact for trial in trials if trial.artefact is not None]
    assert len(files) == len(set(files))
    assert all((run_on_workers.artefacts / name).is_file() for name in files)
    finals = trials[-N_FINALS:]
    assert all(trial.fidelity is Fidelity.FULL and trial.is_verified for trial in finals)
    assert len({trial.parent for trial in finals}) == N_FINALS
    assert json.loads(run_on_workers.pending.read_text())["pending"] == []


def test_workers_find_the_accuracy_that_this_process_finds(run_on_workers: RunDirectory, finished_run: Any) -> None:
    def accuracies(directory: RunDirectory) -> dict[Any, float]:
        ended = (each for each in read_trials(directory.journal) if each.fidelity is Fidelity.SHORT)
        return {each.configuration: each.value("accuracy") for each in ended if each.state is State.COMPLETE}

    there, here = accuracies(run_on_workers), accuracies(finished_run.directory)
    both = there.keys() & here.keys()
    assert len(both) > 2
    assert {each: there[each] for each in both} == {each: here[each] for each in both}


def test_what_is_asked_of_workers_comes_with_workers() -> None:
    assert workers_of("digits", 0, None, None) is None
    workers = workers_of("digits", 64, None, "2min")
    assert workers == Workers("digits", 64, LOCAL, 120.0, n_threads=1)
    asked = Resources(cpus=3, gpus=0.5, memory_bytes=10**9)
    assert workers_of("digits", 2, None, None, asked) == Workers("digits", 2, LOCAL, None, 3, 0.5, 10**9)
    with pytest.raises(SearchError, match="--address must come with workers"):
        workers_of("digits", 0, "auto", None)
    with pytest.raises(SearchError, match="--trial-timeout must come with workers"):
        workers_of("digits", 0, None, "5s")
