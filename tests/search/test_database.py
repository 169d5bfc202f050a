"""On a real PostgreSQL server."""

import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from optuna.trial import FrozenTrial

from parefront.hardware_profiles import SearchError
from parefront.search import RunDirectory, Trial
from parefront.search.database import Database, DatabaseLostError
from parefront.search.database_url import VARIABLE, parse_url
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.record import Record
from parefront.search.storage import opened_storage, read_run
from parefront.search.study_form import StudyForm, directions, trial_of
from parefront.spaces import SearchSpace

MakeTrial = Callable[..., Trial]
N_DRIVERS, N_EACH = 8, 5
# Of Python 3.12 and later: the children do nothing with what other tests left running.
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    return [make_trial(number, {"bits/a": 8, "prune/a": 16}, number / 2) for number in range(N_EACH)]


@pytest.fixture
def frozen(small_space: SearchSpace, trials: list[Trial]) -> list[FrozenTrial]:
    return [StudyForm(small_space).frozen(trial) for trial in trials]


@pytest.fixture
def database(postgres: Any, request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(parse_url(postgres.url), request.node.name, is_owner=True)
    database.begin(directions(DEFAULT_GOALS))
    yield database
    database.close()


def another(database: Database, postgres: Any, *, is_owner: bool) -> Database:
    return Database(parse_url(postgres.url), database.study, is_owner=is_owner)


def test_what_was_added_comes_back_exactly(
    database: Database, postgres: Any, trials: list[Trial], frozen: list[FrozenTrial]
) -> None:
    for each in frozen:
        database.add(each)
    reader = another(database, postgres, is_owner=False)
    assert [trial_of(each) for each in reader.trials()] == trials
    reader.close()


def test_one_driver_owns_a_study(database: Database, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parefront.search.database._LOCK_TIMEOUT_S", 0.0)
    with pytest.raises(DatabaseLostError, match=f"another one owns it in .*{postgres.root.name}: wait") as error:
        another(database, postgres, is_owner=True).trials()
    assert postgres.password not in str(error.value)
    database.close()
    later = another(database, postgres, is_owner=True)
    assert list(later.trials()) == []
    later.close()


@FORKS
def test_a_killed_owner_leaves_the_study_free(database: Database, postgres: Any) -> None:
    database.close()
    has_it = multiprocessing.get_context("fork").Event()

    def own() -> None:
        another(database, postgres, is_owner=True).trials()
        has_it.set()
        signal.pause()

    child = multiprocessing.get_context("fork").Process(target=own)
    child.start()
    assert has_it.wait(30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    next_one = another(database, postgres, is_owner=True)
    assert list(next_one.trials()) == []
    next_one.close()


def test_no_connection_is_made_within_a_write(
    database: Database, postgres: Any, trials: list[Trial], frozen: list[FrozenTrial]
) -> None:
    """Optuna tries five times by itself, and would write again what had arrived."""
    database.add(frozen[0])
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        ours = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s"
        admin.execute(ours, (f"parefront {os.uname().nodename} {os.getpid()}"[:63],))
    with pytest.raises(DatabaseLostError, match="was lost while a trial was written"):
        database.add(frozen[1])
    assert [trial_of(each) for each in database.trials()] == trials[:1]
    database.add(frozen[1])
    assert [trial_of(each) for each in database.trials()] == trials[:2]


def test_what_is_wrong_is_said_without_the_password(database: Database, postgres: Any) -> None:
    wrong = Database(parse_url(postgres.url.replace(postgres.password, "wr0ng-one")), "any", is_owner=False)
    with pytest.raises(DatabaseLostError, match=r"must answer, but .*authentication failed") as error:
        wrong.trials()
    assert "wr0ng-one" not in str(error.value)
    absent = Database(parse_url(postgres.url), "never begun", is_owner=False)
    with pytest.raises(SearchError, match="the study never begun must be in the database where its run began"):
        absent.trials()
    absent.close()
    nowhere = parse_url(postgres.url.replace(str(postgres.root), "/nowhere"))
    with pytest.raises(DatabaseLostError, match=r"must answer, but .*No such file or directory"):
        Database(nowhere, "any", is_owner=True).check()


# --- as a search uses it


def test_a_run_keeps_its_trials_there_and_no_password_here(
    postgres: Any, tmp_path: Path, small_space: SearchSpace, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.root.mkdir()
    with opened_storage(directory, "digits", postgres.url) as storage:
        assert storage.facts is not None
        assert storage.facts["study"].startswith("run-digits-")
        record = Record(directory, small_space, store=storage.store)
        directory.write_manifest({"storage": storage.facts})
        for trial in trials[:2]:
            record.add(trial)
        directory.unsent.write_text(f"{json.dumps(trials[2].to_json())}\n")  # a killed search left it
    written = b"".join(path.read_bytes() for path in directory.root.rglob("*") if path.is_file())
    assert postgres.password.encode() not in written
    assert not directory.journal.exists()
    with pytest.raises(SearchError, match=r"must answer, but .*a password comes from PGPASSWORD, or PAREFRONT_STORAGE"):
        read_run(directory)
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    assert read_run(directory) == trials[:3]
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv(VARIABLE, postgres.url)
    assert read_run(directory) == trials[:3]
    with opened_storage(directory, "digits", None) as storage:  # it goes on where it was
        assert Record(directory, small_space, store=storage.store).trials == trials[:3]
    assert not directory.unsent.exists()


def test_a_run_in_a_journal_stays_there(postgres: Any, tmp_path: Path) -> None:
    RunDirectory(tmp_path).write_manifest({})
    message = "in its journal.log: leave --storage out"
    with pytest.raises(SearchError, match=message), opened_storage(RunDirectory(tmp_path), "digits", postgres.url):
        pass


def test_a_search_refused_before_its_first_trial_leaves_nothing(
    postgres: Any, tmp_path: Path, small_space: SearchSpace
) -> None:
    with opened_storage(RunDirectory(tmp_path), "refused", postgres.url) as storage:
        Record(RunDirectory(tmp_path), small_space, store=storage.store)
    with psycopg.connect(postgres.url) as admin:
        row = admin.execute("SELECT count(*) FROM studies WHERE study_name LIKE %s", ("%refused%",)).fetchone()
    assert row == (0,)


@FORKS
def test_eight_drivers_of_a_sweep_survive_the_end_of_their_server(
    postgres: Any, tmp_path: Path, small_space: SearchSpace, trials: list[Trial]
) -> None:
    context = multiprocessing.get_context("fork")
    n_first, is_down = context.Barrier(N_DRIVERS + 1), context.Event()

    def drive(number: int) -> None:
        directory = RunDirectory(tmp_path / f"s{number}")
        directory.root.mkdir()
        with opened_storage(directory, "sweep", postgres.url) as storage:
            record = Record(directory, small_space, store=storage.store)
            directory.write_manifest({"storage": storage.facts})
            for trial in trials[:2]:
                record.add(trial)
            n_first.wait(60)
            is_down.wait(60)
            for trial in trials[2:]:
                record.add(trial)

    drivers = [context.Process(target=drive, args=(number,)) for number in range(N_DRIVERS)]
    for driver in drivers:
        driver.start()
    n_first.wait(60)
    postgres.stop()
    is_down.set()
    for driver in drivers:
        driver.join(0.1)
    postgres.start()
    for driver in drivers:
        driver.join(60)
        assert driver.exitcode == 0
    with psycopg.connect(postgres.url) as admin:
        query = "SELECT study_name, number FROM studies JOIN trials USING (study_id) WHERE study_name LIKE '%sweep%'"
        rows = admin.execute(query).fetchall()
    assert len({study for study, _ in rows}) == N_DRIVERS
    assert Counter(number for _, number in rows) == dict.fromkeys(range(N_EACH), N_DRIVERS)
    assert not list(tmp_path.glob("*/unsent*"))
