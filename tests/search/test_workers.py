import os
import pickle
from pathlib import Path

import pytest

from parefront.evaluators import Inheritance
from parefront.hardware_profiles import HardwareProfile, Host, SearchError, TaskError
from parefront.search import workers as module
from parefront.search.workers import BenchOrder, Workers, pause_while_measured, threads_per_worker
from parefront.spaces import DEFAULT_OPTIONS


@pytest.mark.parametrize("name", ["n_workers", "n_threads"])
def test_at_least_one_is_asked_for(name: str) -> None:
    with pytest.raises(SearchError, match=f"{name} must be 1 or more, got 0"):
        Workers("digits", **{"n_workers": 2, name: 0})  # type: ignore[arg-type]


def test_a_time_limit_is_some_time() -> None:
    assert Workers("digits", 2, max_job_s=0.5).max_job_s == 0.5
    with pytest.raises(SearchError, match="time limit of a trial must be more than 0 s, got 0 s"):
        Workers("digits", 2, max_job_s=0.0)


@pytest.mark.parametrize(("n_workers", "n_threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_cores_are_shared_out_evenly(monkeypatch: pytest.MonkeyPatch, n_workers: int, n_threads: int) -> None:
    monkeypatch.setattr(module, "available_cores", lambda: tuple(range(8)))
    assert threads_per_worker(n_workers) == n_threads


def test_training_waits_for_the_cores_of_local_devices_only(
    monkeypatch: pytest.MonkeyPatch, fast_profile: HardwareProfile
) -> None:
    waited: list[tuple[int, ...]] = []
    monkeypatch.setattr(module, "available_cores", lambda: (4, 5, 6, 7))
    monkeypatch.setattr(module, "wait_while_measured", waited.append)

    def profile(threads: int, host: Host) -> HardwareProfile:
        runtime = fast_profile.runtime.model_copy(update={"threads": threads})
        return fast_profile.model_copy(update={"runtime": runtime, "host": host})

    here, board = Host(), Host(address="board:7000")
    pause_while_measured((profile(1, here), profile(2, here), profile(3, board)))("fine-tuning", 1, 2)
    pause_while_measured((profile(3, board),))("fine-tuning", 1, 2)
    assert waited == [(4, 5), ()]


def test_an_order_travels_and_says_what_is_missing_where_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, fast_profile: HardwareProfile, tmp_path: Path
) -> None:
    monkeypatch.chdir(Path.cwd())  # comes back to it
    folder = tmp_path / "project"
    folder.mkdir()
    order = BenchOrder("mine.py", (fast_profile,), tmp_path, 0, DEFAULT_OPTIONS, Inheritance.NONE, folder)
    arrived = pickle.loads(pickle.dumps(order))
    assert arrived == order
    with pytest.raises(TaskError, match=r"a task file must exist, got 'mine\.py'"):
        arrived()
    assert Path(os.getcwd()) == folder
