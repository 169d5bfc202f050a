import errno
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from parefront.hardware_profiles import ExportError, SearchError
from parefront.search import RunDirectory, Trial, read_trials
from parefront.search.executor import Failure, InProcessExecutor, Job, Stage
from parefront.search.full_disk import is_disk_error, told_if_full
from parefront.search.patient_executor import PatientExecutor
from parefront.search.record import Record
from parefront.spaces import Configuration, SearchSpace

FULL = OSError(errno.ENOSPC, "No space left on device")


def wrapped(error: Exception) -> Exception:
    try:
        raise ExportError("the network could not be exported") from error
    except ExportError as outer:
        return outer


def test_a_full_disk_is_known_from_a_broken_candidate() -> None:
    assert is_disk_error(FULL)
    assert is_disk_error(wrapped(FULL))
    assert not is_disk_error(FileNotFoundError(errno.ENOENT, "No such file"))
    assert not is_disk_error(wrapped(ValueError("shape")))


def test_a_full_disk_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    message = rf"the disk of {tmp_path} must take files, but does not \(No space left on device\): make room and start"
    with pytest.raises(SearchError, match=message), told_if_full(tmp_path):
        raise FULL
    with pytest.raises(FileNotFoundError), told_if_full(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "No such file")


def test_a_journal_that_finds_no_room_stays_whole(
    tmp_path: Path, small_space: SearchSpace, make_trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, trials = RunDirectory(tmp_path), [make_trial(n, {"bits/a": 8}, n / 2) for n in range(3)]
    record = Record(directory, small_space)
    record.add(trials[0])
    before = directory.journal.read_bytes()

    def write_half(journal: object, logs: object) -> None:
        with directory.journal.open("ab") as file:
            file.write(b'{"op_code":4,"wor')
        raise FULL

    monkeypatch.setattr("optuna.storages.journal.JournalFileBackend.append_logs", write_half)
    with pytest.raises(OSError, match="No space left"):
        record.add(trials[1])
    monkeypatch.undo()
    assert directory.journal.read_bytes() == before
    assert record.trials == trials[:1]
    again = Record(directory, small_space)
    again.add(trials[1])
    assert read_trials(directory.journal) == trials[:2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "parefront-test", str(tmp_path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def add_all(record: Record, trials: Sequence[Trial]) -> None:
    for trial in trials:
        record.add(trial)


def test_a_disk_that_fills_up_loses_no_ended_trial(
    small_disk: Path, small_space: SearchSpace, make_trial: Callable[..., Trial]
) -> None:
    directory = RunDirectory(small_disk)
    directory.write_manifest({"task": "before"})
    record = Record(directory, small_space)
    trials = [make_trial(number, {"bits/a": 8}, number / 2) for number in range(100)]
    with pytest.raises(OSError, match="No space left"):
        add_all(record, trials)
    n_kept = len(record.trials)
    with pytest.raises(SearchError, match="make room"), told_if_full(small_disk):
        directory.write_manifest({"task": "x" * 5000})
    assert directory.read_manifest() == {"schema": 1, "task": "before"}
    assert record.trials == read_trials(directory.journal) == trials[:n_kept]
    assert 5 < n_kept < 100
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    again = Record(directory, small_space)
    assert not directory.journal.with_suffix(".cut").exists()
    again.add(trials[n_kept])
    assert read_trials(directory.journal) == trials[: n_kept + 1]


class FullBench:
    def structure(self, configuration: Configuration, name: str) -> None:
        raise wrapped(FULL)

    def repeat(self, configuration: Configuration, name: str) -> None:
        raise RuntimeError("unexpected pos 576 vs 534")  # torch's word for a full disk

    def close(self) -> None:
        pass


@pytest.mark.parametrize("stage", [Stage.STRUCTURE, Stage.REPEAT])
def test_no_candidate_fails_for_a_full_disk(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    if stage is Stage.REPEAT:
        monkeypatch.setattr("parefront.search.patient_executor.is_full", lambda folder: folder == tmp_path)
    executor = PatientExecutor(InProcessExecutor(FullBench()), folder=tmp_path)  # type: ignore[arg-type]
    executor.submit(Job(1, stage, Configuration(), "trial-1"))
    with pytest.raises(SearchError, match=f"the disk of {tmp_path} must take files"):
        executor.next_done()


def test_where_there_is_room_a_candidate_fails_by_itself(tmp_path: Path) -> None:
    executor = PatientExecutor(InProcessExecutor(FullBench()), folder=tmp_path)  # type: ignore[arg-type]
    executor.submit(Job(1, Stage.REPEAT, Configuration(), "trial-1"))
    _, outcome = executor.next_done()
    assert isinstance(outcome, Failure)
    assert outcome.reason == "RuntimeError: unexpected pos 576 vs 534"
