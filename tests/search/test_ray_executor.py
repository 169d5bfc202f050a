"""Real worker processes with a bench that does what the name of a job's file says."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray

from parefront.evaluators import Evaluation
from parefront.hardware_profiles.errors import SearchError
from parefront.search.executor import Failure, Job, Stage
from parefront.search.ray_cluster import actor_options
from parefront.search.ray_executor import MAX_RETRIES, RayExecutor
from parefront.search.workers import Workers
from parefront.spaces import Configuration

pytestmark = pytest.mark.cluster

# pytest imports tests in a way of its own: workers could not import this module by its name.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Bench:
    """Does what a job's file is called.

    That is `fine`, `raise`, `hang`, `slow:SECONDS`, `die:N`, which kills its process N times, or `eat:N`, which takes
    ever more memory N times.
    """

    machines: dict[str, Any] = {}  # noqa: RUF012  # as a workbench has it

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def structure(self, configuration: Configuration, name: str) -> Evaluation:
        what, _, argument = name.partition(":")
        begun = self._folder / f"{name}-{time.monotonic_ns()}"
        begun.write_text(str(os.getpid()))
        if what == "raise":
            raise ValueError("nothing\nfits")
        if what == "hang":
            time.sleep(600)
        if what == "die" and len(list(self._folder.glob(f"{name}-*"))) <= int(argument):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "eat" and len(list(self._folder.glob(f"{name}-*"))) <= int(argument):
            eaten = []
            while sum(map(len, eaten)) < 4 * 10**9:
                eaten.append(b"x" * 10**8)
                time.sleep(0.05)
        if what == "slow":
            time.sleep(float(argument))
        return Evaluation({}, {}, Path(name), details={"pid": os.getpid()})

    def full(self, configuration: Configuration, name: str) -> Evaluation:
        return self.structure(configuration, name)


MakeExecutor = Callable[..., RayExecutor]


@pytest.fixture
def make_executor(two_workers: Workers, tmp_path: Path) -> Iterator[MakeExecutor]:
    """A factory of executors on benches that note in a folder what they begin; closes them."""
    made: list[RayExecutor] = []

    def make(n_workers: int = 1, open_bench: Any = None, **more: Any) -> RayExecutor:
        opener = open_bench or (lambda: Bench(tmp_path))
        made.append(RayExecutor(opener, n_workers, actor_options(two_workers), **more))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("begun")


@pytest.fixture(scope="module")
def executor(two_workers: Workers, folder: Path) -> Iterator[RayExecutor]:
    """One worker; 3 s for a job."""
    executor = RayExecutor(lambda: Bench(folder), 1, actor_options(two_workers), max_job_s=3.0)  # type: ignore[arg-type,return-value]
    yield executor
    executor.close()


def begun(folder: Path, name: str) -> list[int]:
    """The processes that began a job of that name."""
    return [int(path.read_text()) for path in folder.glob(f"{name}-*")]


def job(ticket: int, name: str) -> Job:
    return Job(ticket, Stage.STRUCTURE, Configuration(), name)


def test_jobs_come_back_as_they_end_from_workers_that_stay(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(n_workers=2)
    assert executor.n_slots == 2
    executor.submit(job(0, "slow:2"))
    executor.submit(job(1, "fine"))
    executor.submit(job(2, "fine"))
    executor.submit(job(3, "raise"))
    ended = [executor.next_done() for _ in range(4)]
    assert {each.ticket for each, _ in ended} == {0, 1, 2, 3}
    outcomes = {each.ticket: outcome for each, outcome in ended}
    pids = {outcomes[ticket].details["pid"] for ticket in (0, 1, 2)}
    assert len(pids) <= 2
    assert os.getpid() not in pids
    failed = outcomes[3]
    assert isinstance(failed, Failure)
    assert failed.reason == "ValueError: nothing fits"


# The rest needs one worker at a time.


def test_a_killed_worker_costs_its_job_a_second_attempt(executor: RayExecutor, folder: Path) -> None:
    executor.submit(job(0, "die:1"))
    ended, outcome = executor.next_done()
    assert ended.ticket == 0
    assert isinstance(outcome, Evaluation)
    assert len(begun(folder, "die:1")) == 2


def test_a_job_that_kills_every_worker_fails_and_the_next_one_runs(executor: RayExecutor, folder: Path) -> None:
    executor.submit(job(0, "die:99"))
    executor.submit(job(1, "fine"))
    ended, outcome = executor.next_done()
    assert ended.ticket == 0
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith("the worker died 3 times in the structure stage: ")
    assert "\n" not in outcome.reason
    assert len(begun(folder, "die:99")) == 1 + MAX_RETRIES == 3
    ended, outcome = executor.next_done()
    assert ended.ticket == 1
    assert isinstance(outcome, Evaluation)


def test_a_job_that_takes_too_long_fails_and_its_worker_is_replaced(executor: RayExecutor, folder: Path) -> None:
    """Of a final member as of all others."""
    executor.submit(replace(job(0, "hang"), stage=Stage.FULL))
    executor.submit(job(1, "fine"))
    ended, outcome = executor.next_done()
    assert (ended.ticket, outcome) == (0, Failure("the full stage took longer than the limit of 3 s", ""))
    ended, outcome = executor.next_done()
    assert ended.ticket == 1
    assert isinstance(outcome, Evaluation)
    assert outcome.details["pid"] not in begun(folder, "hang")


def test_a_worker_that_takes_more_memory_than_asked_for_is_replaced(
    make_executor: MakeExecutor, tmp_path: Path
) -> None:
    executor = make_executor(max_memory_bytes=1_500_000_000)
    executor.submit(job(0, "eat:1"))
    ended, outcome = executor.next_done()
    assert ended.ticket == 0
    assert isinstance(outcome, Evaluation)  # at its second attempt
    assert outcome.details["pid"] in begun(tmp_path, "eat:1")
    assert len(set(begun(tmp_path, "eat:1"))) == 2


def test_a_worker_that_cannot_open_its_bench_ends_the_search(make_executor: MakeExecutor) -> None:
    def open_bench() -> Bench:
        raise FileNotFoundError("no such folder")

    executor = make_executor(open_bench=open_bench)
    executor.submit(job(0, "fine"))
    with pytest.raises(SearchError, match="load the task and the baseline, but got FileNotFoundError: no such folder"):
        executor.next_done()


def test_workers_that_die_before_they_are_ready_end_the_search(make_executor: MakeExecutor) -> None:
    executor = make_executor(open_bench=lambda: os._exit(1))
    executor.submit(job(0, "fine"))
    with pytest.raises(SearchError, match="3 in a row died before that"):
        executor.next_done()


def test_a_worker_is_checked_before_it_gets_a_job(make_executor: MakeExecutor, tmp_path: Path) -> None:
    def check(facts: Any) -> None:
        raise SearchError(f"not {facts.machines}")

    executor = make_executor(check=check)
    executor.submit(job(0, "fine"))
    with pytest.raises(SearchError, match=r"not \{\}"):
        executor.next_done()
    assert not list(tmp_path.iterdir())
