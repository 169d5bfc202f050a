"""One study in a PostgreSQL database, written by one driver only, whatever happens to the connection.

The connection that writes holds an advisory lock named after the study, so that nothing can be written without it; the
server lets go of the lock when the connection ends. No connection is made anew in the middle of a write: whether it
arrived could not be told, and Optuna would write it a second time.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from ..hardware_profiles.errors import SearchError
from .database_url import hidden, shown
from .study_form import Direction, silence_optuna

if TYPE_CHECKING:
    import psycopg

_CONNECT_TIMEOUT_S = 5
_LOCK_TIMEOUT_S = 3.0
"""A server needs a moment to notice that the process of the last owner has ended."""
_SETTINGS: dict[str, Any] = {
    "connect_timeout": _CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # in ms: a server that is gone without a word
    # Of the server: a statement that waits for ever ends, and a driver that is gone without a word loses its lock.
    "options": "-c statement_timeout=60s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5",
}
_DIALECT = "postgresql+psycopg://"
_TABLES = "parefront: tables of Optuna"


class DatabaseLostError(SearchError):
    """The database does not answer, or does not let us write; what was to be written may be tried again."""


class Database:
    """A study and the connection to it."""

    def __init__(self, url: URL, study: str, *, is_owner: bool) -> None:
        """Connects when it is first used.

        Args:
            url: As `parse_url` gives it.
            study: Its name.
            is_owner: Whether trials will be written; the study is then nobody else's until `close`.
        """
        self.shown, self.study = shown(url), study
        self._url, self._is_owner = url, is_owner
        self._may_connect = True
        self._storage: RDBStorage | None = None
        self._study: optuna.Study | None = None
        silence_optuna()

    def check(self) -> None:
        """Connects; what an owner needs is made.

        Raises:
            DatabaseLostError: The database does not answer.
        """
        with self._answering():
            self._open()

    def begin(self, directions: Sequence[Direction]) -> None:
        """Makes the study, without trials.

        Args:
            directions: Of its values.

        Raises:
            DatabaseLostError: The database does not answer.
        """
        with self._answering():
            self._study = optuna.create_study(study_name=self.study, storage=self._open(), directions=directions)

    def trials(self) -> Sequence[FrozenTrial]:
        """What the study holds, by number.

        Raises:
            DatabaseLostError: The database does not answer, or another driver owns the study.
            SearchError: There is no such study.
        """
        with self._answering():
            return self._known().get_trials(deepcopy=False)

    def add(self, trial: FrozenTrial) -> None:
        """Writes one ended trial, whole or not at all.

        Args:
            trial: The study's next one.

        Raises:
            DatabaseLostError: See `trials`; whether it was written after all only `trials` can tell.
        """
        with self._answering():
            study = self._known()
            self._may_connect = False
            try:
                study.add_trial(trial)
            finally:
                self._may_connect = True

    def forget_if_empty(self) -> None:
        """Removes a study without trials: that of a search which was refused before its first one."""
        if self._study is not None and not self.trials():
            with self._answering():
                optuna.delete_study(study_name=self.study, storage=self._open())

    def close(self) -> None:
        """Ends the connection, and with it the ownership."""
        if self._storage is not None:
            self._storage.engine.dispose()
            self._storage = self._study = None

    def _known(self) -> optuna.Study:
        if self._study is None:
            try:
                self._study = optuna.load_study(study_name=self.study, storage=self._open())
            except KeyError as error:
                raise SearchError(
                    f"the study {self.study} must be in the database where its run began, but {self.shown} does not "
                    "have it: give that database"
                ) from error
        return self._study

    def _open(self) -> RDBStorage:
        if self._storage is None:
            self._prepare()
            # One connection only: the one that holds the lock.
            settings: dict[str, Any] = {"creator": self._connect, "pool_size": 1, "max_overflow": 0}
            settings["pool_pre_ping"] = True
            # Our address stays with us: what Optuna does not know, it cannot show.
            self._storage = RDBStorage(_DIALECT, settings, skip_compatibility_check=True, skip_table_creation=True)
        return self._storage

    def _prepare(self) -> None:
        """Checks the tables; for an owner makes them, one driver after the other: two at a time would fail."""
        with self._plain_connection() as connection:
            if self._is_owner:
                connection.execute("SELECT pg_advisory_lock(%s)", (_lock_key(_TABLES),))
            try:
                # This takes more than one connection.
                checked = RDBStorage(
                    _DIALECT, {"creator": self._plain_connection}, skip_table_creation=not self._is_owner
                )
            except RuntimeError as error:
                raise SearchError(f"the tables in {self.shown} must be those of this Optuna, but {error}") from error
            checked.engine.dispose()

    def _connect(self) -> psycopg.Connection[Any]:
        """A connection; that of an owner holds the lock."""
        if not self._may_connect:
            raise DatabaseLostError(f"the database {self.shown} must answer, but was lost while a trial was written")
        connection = self._plain_connection()
        if self._is_owner and not self._lock(connection):
            connection.close()
            raise DatabaseLostError(
                f"one search at a time may write the study {self.study}, but another one owns it in {self.shown}: wait "
                "for its end"
            )
        return connection

    def _lock(self, connection: psycopg.Connection[Any]) -> bool:
        end = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_lock_key(self.study),)).fetchone()
            connection.commit()  # The lock stays: it is the connection's, not the transaction's.
            if row is not None and row[0]:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)

    def _plain_connection(self) -> psycopg.Connection[Any]:
        try:
            import psycopg
        except ImportError as error:
            raise SearchError(
                "trials in PostgreSQL need psycopg, but it is not installed: pip install 'parefront[postgresql]'"
            ) from error
        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        # So that a person finds it on the server, which takes 63 characters.
        name = f"parefront {os.uname().nodename} {os.getpid()}"[:63]
        return psycopg.connect(address, application_name=name, **_SETTINGS)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Words what the libraries say of a database that does not do what it should."""
        try:
            yield
        except SearchError:
            raise
        except Exception as error:
            found = _database_error(error)
            if found is None:
                raise
            why = hidden(" ".join(str(found).split()), self._url)[:300]
            raise DatabaseLostError(f"the database {self.shown} must answer, but {why}") from None


def _database_error(error: BaseException) -> BaseException | None:
    """The driver's own error behind that of Optuna or SQLAlchemy; None where it has nothing to do with a database."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return _database_error(error.__cause__)
    if isinstance(error, SQLAlchemyError):
        return getattr(error, "orig", None) or error
    # What making a connection raises comes as it is.
    return error if type(error).__module__.partition(".")[0] == "psycopg" else None


def _lock_key(name: str) -> int:
    """What PostgreSQL takes for the name of a lock: 64 bits with a sign."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
