"""The store's promises, with a database that fails at chosen moments."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial

from parefront.hardware_profiles import SearchError
from parefront.search import Trial
from parefront.search.database import DatabaseLostError
from parefront.search.database_store import DatabaseStore
from parefront.search.study_form import StudyForm, trial_of
from parefront.search.unsent import Unsent
from parefront.spaces import SearchSpace

MakeTrial = Callable[..., Trial]


class FakeDatabase:
    """A study in memory; `faults` says what each call of `add` does, `is_up` whether anything answers."""

    shown = "postgresql://host/trials"

    def __init__(self) -> None:
        self.held: list[FrozenTrial] = []
        self.faults: list[str] = []
        self.is_up, self.n_begun = True, 0

    def begin(self, directions: Sequence[str]) -> None:
        self.n_begun += 1

    def trials(self) -> Sequence[FrozenTrial]:
        self._answer()
        return list(self.held)

    def add(self, trial: FrozenTrial) -> None:
        self._answer()
        fault = self.faults.pop(0) if self.faults else ""
        if fault != "lost before":
            self.held.append(trial)
        if fault:
            raise DatabaseLostError(f"the connection was {fault}")

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        if not self.is_up:
            raise DatabaseLostError("it must answer, but is away")


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def store(database: FakeDatabase, waits: list[float], tmp_path: Path, small_space: SearchSpace) -> DatabaseStore:
    store = DatabaseStore(database, Unsent(tmp_path / "unsent"), is_new=True, sleep=waits.append)
    assert store.open(StudyForm(small_space)) == []
    assert database.n_begun == 1
    return store


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    return [make_trial(number, {"bits/a": 8}, number / 2) for number in range(4)]


def held(database: FakeDatabase) -> list[Trial]:
    return [trial_of(frozen) for frozen in database.held]


@pytest.mark.parametrize("fault", ["lost before", "lost after"])
def test_a_lost_connection_neither_loses_nor_doubles(
    store: DatabaseStore, database: FakeDatabase, trials: list[Trial], waits: list[float], tmp_path: Path, fault: str
) -> None:
    """After the loss nobody knows whether the trial had arrived."""
    database.faults = ["", fault, fault]
    for trial in trials:
        store.add(trial)
    assert held(database) == trials
    assert waits == ([0.5, 2.0] if fault == "lost before" else [0.5, 0.5])
    assert not (tmp_path / "unsent").exists()


def test_trials_wait_on_the_local_disk_while_the_database_is_away(
    store: DatabaseStore,
    database: FakeDatabase,
    trials: list[Trial],
    waits: list[float],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.add(trials[0])
    database.is_up = False
    with caplog.at_level(logging.WARNING, "parefront"):
        store.add(trials[1])
        store.add(trials[2])
        assert waits == [0.5, 2.0]  # for the first one only: the search must not stand still
        assert Unsent(tmp_path / "unsent").trials == trials[1:3]
        assert "is away; trying again in 0.5 s" in caplog.messages[0]
        assert "trials that wait on the local disk: 2" in caplog.messages[-1]
        database.is_up = True
        store.add(trials[3])
    assert held(database) == trials
    assert caplog.messages[-1] == "the database is back; trials written now: 3"


def test_what_a_killed_search_could_not_send_is_sent_when_it_goes_on(
    store: DatabaseStore, database: FakeDatabase, trials: list[Trial], tmp_path: Path, small_space: SearchSpace
) -> None:
    store.add(trials[0])
    database.faults = ["lost after"]
    database.trials, answers = _failing_after(database, 1), database.trials  # type: ignore[method-assign]
    store.add(trials[1])
    store.add(trials[2])
    assert Unsent(tmp_path / "unsent").trials == trials[1:3]
    database.trials = answers  # type: ignore[method-assign]
    again = DatabaseStore(database, Unsent(tmp_path / "unsent"))
    assert again.open(StudyForm(small_space)) == trials[:3]
    assert held(database) == trials[:3]
    assert not (tmp_path / "unsent").exists()


def _failing_after(database: FakeDatabase, n_answers: int) -> Callable[[], Sequence[FrozenTrial]]:
    left = iter(range(n_answers))

    def trials() -> Sequence[FrozenTrial]:
        if next(left, None) is None:
            raise DatabaseLostError("away")
        return list(database.held)

    return trials


def test_the_end_waits_longer_for_the_database(
    store: DatabaseStore, database: FakeDatabase, trials: list[Trial], waits: list[float]
) -> None:
    database.is_up = False
    store.add(trials[0])
    waits.clear()
    store.close()
    assert waits == [1.0, 5.0, 15.0]


def test_trials_of_another_driver_are_no_place_for_ours(
    store: DatabaseStore, database: FakeDatabase, trials: list[Trial], make_trial: MakeTrial, small_space: SearchSpace
) -> None:
    store.add(trials[0])
    database.held.append(StudyForm(small_space).frozen(make_trial(1, {"fold/a": "on"}, 3.0)))
    with pytest.raises(SearchError, match=r"trial 1 is not what postgresql://host/trials holds or lacks \(2 trials\)"):
        store.add(trials[1])
    assert len(database.held) == 2
