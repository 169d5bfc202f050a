"""A real search of the tiny task, weighed again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gain_cut import replayed
from parefront.evaluators import Workbench
from parefront.hardware_profiles import HardwareProfile
from parefront.search import Fidelity, State, read_trials
from parefront.search.proposer import TableProposer
from parefront.search.training_times import trained_s
from parefront.spaces import Configuration, SearchSpace
from parefront.tasks import Task


@pytest.fixture
def searched_space(tiny_task: Task, fast_profile: HardwareProfile, tmp_path: Path) -> Iterator[SearchSpace]:
    bench = Workbench(tiny_task, fast_profile, tmp_path, seed=0)
    yield bench.space
    bench.close()


def test_what_nobody_must_promise_is_trained(finished_run: Any, searched_space: SearchSpace) -> None:
    assert replayed(finished_run.directory.root, searched_space, 0.0) == (0.0, 0.0)


def test_what_promises_too_little_saves_its_training(
    finished_run: Any, searched_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first three promise much, the others little: two in a row are closed, then one is trained."""

    def foretold(proposer: TableProposer, configuration: Configuration, scores: object) -> float:
        return 1.0 if configuration in first else 1e-9

    trials = read_trials(finished_run.directory.journal)
    trained = [t for t in trials if t.is_candidate(Fidelity.SHORT) and t.state is State.COMPLETE]
    first = [trial.configuration for trial in trained[:3]]
    monkeypatch.setattr(TableProposer, "expected_gain", foretold)
    saved, lost = replayed(finished_run.directory.root, searched_space, 1e-3)  # however long each took
    closed = [trial for k, trial in enumerate(trained) if k >= 3 and k % 3 != 2]
    assert saved == pytest.approx(sum(map(trained_s, closed)) / sum(map(trained_s, trained)))
    assert 0 <= lost <= 1


@pytest.mark.parametrize(("less", "more"), [(0.0, 0.3), (0.3, 1e9)])
def test_more_is_saved_where_more_must_be_promised(
    finished_run: Any, searched_space: SearchSpace, less: float, more: float
) -> None:
    root = finished_run.directory.root
    assert replayed(root, searched_space, less)[0] <= replayed(root, searched_space, more)[0]
