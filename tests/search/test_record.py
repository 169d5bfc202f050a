import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from parefront.hardware_profiles import SearchError
from parefront.search import RunDirectory, read_trials
from parefront.search.goals import parse_goals
from parefront.search.record import Record, owned
from parefront.search.trial import Trial
from parefront.spaces import SearchSpace

MakeTrial = Callable[..., Trial]


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    return [
        make_trial(0, {}, 0.0, half_width=0.0),
        make_trial(1, {"bits/a": 8, "rank/b": "spatial:8"}, 1.25, 0.123456789012345, 500, half_width=0.5),
        make_trial(2, {"prune/a": 16}),
    ]


@pytest.fixture
def recorded(directory: RunDirectory, small_space: SearchSpace, trials: list[Trial]) -> RunDirectory:
    record = Record(directory, small_space)
    for trial in trials:
        record.add(trial)
    return directory


def test_what_was_added_comes_back_exactly(
    recorded: RunDirectory, small_space: SearchSpace, trials: list[Trial]
) -> None:
    assert Record(recorded, small_space).trials == trials
    assert read_trials(recorded.journal) == trials


def test_it_is_an_ordinary_optuna_study(recorded: RunDirectory) -> None:
    backend = optuna.storages.journal.JournalFileBackend(str(recorded.journal))
    study = optuna.load_study(study_name="parefront", storage=optuna.storages.JournalStorage(backend))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    # (accuracy, latency in ms, size in bytes); the baseline has 90 %.
    assert study.trials[1].values == [88.75, 0.123456789012345, 500.0]
    assert study.trials[1].params == {
        "fold/a": "off",
        "rank/b": "spatial:8",
        "prune/a": 32,
        "bits/a": 8,
        "bits/b": 32,
    }
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]


def test_the_values_are_those_of_the_objectives(
    directory: RunDirectory, small_space: SearchSpace, trials: list[Trial]
) -> None:
    record = Record(directory, small_space, parse_goals(["size", "accuracy"], [], ["cpu"]))
    record.add(trials[1])
    backend = optuna.storages.journal.JournalFileBackend(str(directory.journal))
    study = optuna.load_study(study_name="parefront", storage=optuna.storages.JournalStorage(backend))
    assert study.trials[0].values == [500.0, 88.75]
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]


def test_a_study_without_trials_takes_other_objectives(
    directory: RunDirectory, small_space: SearchSpace, trials: list[Trial]
) -> None:
    """What a search leaves that was refused at its start."""
    Record(directory, small_space)
    record = Record(directory, small_space, parse_goals(["accuracy", "size"], [], ["cpu"]))
    record.add(trials[1])
    assert read_trials(directory.journal) == [trials[1]]


def test_each_trial_is_one_line_on_disk_at_once(
    directory: RunDirectory, small_space: SearchSpace, trials: list[Trial]
) -> None:
    record = Record(directory, small_space)
    n_lines = len(directory.journal.read_bytes().splitlines())
    for n_added, trial in enumerate(trials, start=1):
        record.add(trial)
        assert len(directory.journal.read_bytes().splitlines()) == n_lines + n_added
        assert read_trials(directory.journal) == trials[:n_added]


def test_a_stale_lock_is_removed(
    recorded: RunDirectory, small_space: SearchSpace, trials: list[Trial], make_trial: MakeTrial
) -> None:
    lock = Path(f"{recorded.journal}.lock")
    lock.touch()
    record = Record(recorded, small_space)
    assert record.trials == trials
    record.add(make_trial(3, {"bits/b": 8}, 0.5))  # would wait for the lock for ever
    assert len(read_trials(recorded.journal)) == 4
    assert not lock.exists()


TAILS = {
    "half a line": b'{"op_code":4,"worker_id":"7c9a","stu',
    "half a line that is JSON": b"4711",
    "a whole line that is not JSON": b"\x00\x00\x00\x00\n",
    "both": b'{"op_co\n{"op_code":4,"wor',
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS.keys())
def test_a_damaged_end_is_cut_off_and_kept(
    recorded: RunDirectory, small_space: SearchSpace, trials: list[Trial], make_trial: MakeTrial, tail: bytes
) -> None:
    intact = recorded.journal.read_bytes()
    recorded.journal.write_bytes(intact + tail)
    record = Record(recorded, small_space)
    assert record.trials == trials
    assert recorded.journal.read_bytes().startswith(intact)
    assert tail.strip() not in recorded.journal.read_bytes()
    assert recorded.journal.with_suffix(".cut").read_bytes() == tail
    added = make_trial(3, {"bits/b": 8}, 0.5)
    record.add(added)
    assert Record(recorded, small_space).trials == [*trials, added]


def test_an_intact_journal_is_left_alone(recorded: RunDirectory, small_space: SearchSpace) -> None:
    before = recorded.journal.read_bytes()
    Record(recorded, small_space)
    assert recorded.journal.read_bytes().startswith(before)  # opening it adds a line of Optuna's
    assert not recorded.journal.with_suffix(".cut").exists()


def test_a_kill_within_the_last_trial_loses_that_one_only(
    recorded: RunDirectory, small_space: SearchSpace, trials: list[Trial]
) -> None:
    content = recorded.journal.read_bytes()
    recorded.journal.write_bytes(content[:-20])
    assert Record(recorded, small_space).trials == trials[:-1]


def test_reading_ignores_half_a_line_and_writes_nothing(recorded: RunDirectory, trials: list[Trial]) -> None:
    with recorded.journal.open("ab") as file:
        file.write(TAILS["half a line"])
    before = recorded.journal.read_bytes()
    assert read_trials(recorded.journal) == trials
    assert recorded.journal.read_bytes() == before


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "journal.log"
    with pytest.raises(SearchError, match=r"journal\.log does not exist: check the directory"):
        read_trials(missing)
    assert not missing.exists()
    missing.write_text("not JSON\nat all\n")
    with pytest.raises(SearchError, match="must be the journal of a run, but cannot be read"):
        read_trials(missing)
    missing.write_text("")
    with pytest.raises(SearchError, match="must be the journal of a run"):
        read_trials(missing)


def test_one_process_owns_a_run(directory: RunDirectory) -> None:
    with (
        owned(directory),
        pytest.raises(SearchError, match=r"another one owns .*choose another --out"),
        owned(directory),
    ):
        pass
    with owned(directory):  # the lock went with its owner
        assert directory.lock.is_file()


def test_the_journal_holds_plain_json(recorded: RunDirectory) -> None:
    for line in recorded.journal.read_text().splitlines():
        json.loads(line)
