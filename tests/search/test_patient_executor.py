from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import SearchError
from parefront.hardware_profiles.errors import DeviceLostError, MeasurementError
from parefront.search import Fidelity, RunDirectory, State, Trial, read_trials
from parefront.search.engine import Engine
from parefront.search.executor import Failure, Job, Stage, run_job
from parefront.search.patient_executor import WAITS_S, PatientExecutor
from parefront.search.record import Record
from parefront.search.rungs import Rungs
from parefront.spaces import Configuration, SearchSpace

from .conftest import ListProposer

LOST = "device 'board:1' must be reachable, but Connection refused"


class Device:
    """An executor whose device is there or not: one answer, in turn, to each job that needs it."""

    def __init__(self, is_there: Iterable[bool], n_slots: int = 1) -> None:
        self.is_there, self.n_slots = deque(is_there), n_slots
        self.queue: deque[Job] = deque()
        self.done: list[tuple[int, Stage]] = []
        self.is_closed = False

    def submit(self, job: Job) -> None:
        self.queue.append(job)

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        job = self.queue.popleft()
        if job.stage is not Stage.SHORT and not self.is_there.popleft():
            return job, Failure(LOST, "trace", is_device_lost=True)
        self.done.append((job.ticket, job.stage))
        scores = {
            "latency_ms": Score("latency_ms", 0.5 - job.ticket / 1000, "ms", False),
            "size_bytes": Score("size_bytes", 500.0, "bytes", False),
            "accuracy": Score("accuracy", 90.0, "%", True),
            "accuracy_drop": Score("accuracy_drop", 0.0, "pt", False, 0.0, 0.0),
        }
        return job, Evaluation(scores, {}, Path(job.artefact), is_verified=True)

    def close(self) -> None:
        self.is_closed = True


def job(ticket: int, stage: Stage = Stage.STRUCTURE) -> Job:
    return Job(ticket, stage, Configuration(), str(ticket))


def test_a_job_without_its_device_is_put_back_and_done_when_the_device_is_back() -> None:
    waits: list[float] = []
    device = Device([False, True])
    executor = PatientExecutor(device, waits.append)
    executor.submit(job(7))

    done, outcome = executor.next_done()

    assert (done.ticket, isinstance(outcome, Evaluation)) == (7, True)
    assert waits == [WAITS_S[0]]


def test_what_needs_no_device_goes_on_before_anyone_waits() -> None:
    waits: list[float] = []
    device = Device([False, True, True], n_slots=3)
    executor = PatientExecutor(device, waits.append)
    for each in (job(1), job(2, Stage.SHORT), job(3, Stage.SHORT)):
        executor.submit(each)

    assert [executor.next_done()[0].ticket for _ in range(2)] == [2, 3]
    executor.submit(job(4))  # It would only be lost, too: it is not tried.
    assert (list(device.queue), waits) == ([], [])
    assert [executor.next_done()[0].ticket for _ in range(2)] == [1, 4]
    assert waits == [WAITS_S[0]]


def test_a_device_that_stays_away_ends_the_search_with_one_line() -> None:
    waits: list[float] = []
    executor = PatientExecutor(Device([False] * 10), waits.append)
    executor.submit(job(1))

    with pytest.raises(SearchError, match=r"board:1.*every ended trial is kept, and the same command goes on"):
        executor.next_done()
    assert waits == list(WAITS_S)


def test_patience_is_as_long_at_the_next_loss() -> None:
    waits: list[float] = []
    executor = PatientExecutor(Device([False, False, True, False, False, True]), waits.append)
    for ticket in (1, 2):
        executor.submit(job(ticket))
        executor.next_done()
    assert waits == [*WAITS_S, *WAITS_S]


def test_other_failures_and_the_rest_pass_through() -> None:
    class Broken(Device):
        def next_done(self) -> tuple[Job, Failure]:
            return self.queue.popleft(), Failure("ExportError: no", "trace")

    device = Broken([], n_slots=5)
    executor = PatientExecutor(device, lambda seconds: None)
    executor.submit(job(1))
    assert executor.next_done()[1] == Failure("ExportError: no", "trace")
    assert executor.n_slots == 5
    executor.close()
    assert device.is_closed


@pytest.mark.parametrize(("error", "is_device_lost"), [(DeviceLostError(LOST), True), (MeasurementError("x"), False)])
def test_only_a_lost_device_is_told_apart(error: MeasurementError, is_device_lost: bool) -> None:
    class Bench:
        def structure(self, configuration: Configuration, name: str) -> Evaluation:
            raise error

    outcome = run_job(Bench(), job(1))  # type: ignore[arg-type]
    assert isinstance(outcome, Failure)
    assert outcome.is_device_lost is is_device_lost
    assert str(error) in outcome.reason


# --- in a search


CANDIDATES = [Configuration.of({"prune/a": width}) for width in (24, 16, 8)]


@pytest.fixture
def search(
    tmp_path: Path, small_space: SearchSpace, make_trial: Callable[..., Trial]
) -> Callable[[Device, int], list[Trial]]:
    """A search in a directory that begins with the two baseline trials; again, it goes on."""
    directory = RunDirectory(tmp_path)
    record = Record(directory, small_space)
    record.add(make_trial(0, {}, 0.0, 1.0, 1000))
    record.add(make_trial(1, {}, 0.1, 1.0, 1000, Fidelity.FULL, is_verified=True))

    def run(device: Device, n_final: int = 0) -> list[Trial]:
        executor = PatientExecutor(device, lambda seconds: None)
        proposer = ListProposer(CANDIDATES)
        try:
            Engine(executor, proposer, Record(directory, small_space), lambda status: None).run(Rungs(3, None, n_final))
        finally:
            trials = read_trials(directory.journal)
        return trials

    return run


def test_a_search_outlives_a_short_loss_without_a_failed_trial(search: Callable[..., list[Trial]]) -> None:
    trials = search(Device([True, False, False, True, True]))

    assert [t.configuration for t in trials[2:]] == CANDIDATES
    assert {t.state for t in trials} == {State.COMPLETE}


def test_a_long_loss_fails_no_trial_and_the_same_search_goes_on(
    search: Callable[..., list[Trial]], tmp_path: Path
) -> None:
    with pytest.raises(SearchError, match="the same command goes on"):
        search(Device([True, *[False] * 3]))
    assert [t.configuration for t in read_trials(RunDirectory(tmp_path).journal)[2:]] == CANDIDATES[:1]

    trials = search(Device([True, True]))
    assert [t.configuration for t in trials[2:]] == CANDIDATES
    assert {t.state for t in trials} == {State.COMPLETE}


def test_a_final_member_waits_for_the_device_too(search: Callable[..., list[Trial]]) -> None:
    trials = search(Device([True, True, True, False, True]), n_final=1)

    assert [(t.fidelity, t.state) for t in trials[5:]] == [(Fidelity.FULL, State.COMPLETE)]
