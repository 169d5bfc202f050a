"""Where the trials of a run are kept: in its journal file, or in a database that its manifest names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ..hardware_profiles.errors import SearchError
from .database import Database, DatabaseLostError
from .database_store import DatabaseStore
from .database_url import VARIABLE, complete_url, shown
from .journal import Journal, read_trials
from .record import TrialStore
from .run_directory import RunDirectory
from .study_form import trial_of
from .trial import Trial
from .unsent import Unsent, read_unsent

FACT = "storage"
"""In the manifest: the database and the study; absent or None where the journal file has the trials."""


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """Where a search's trials go.

    Attributes:
        store: Takes them.
        facts: For the manifest: the database's address without a password, and the study; None for the journal file.
    """

    store: TrialStore
    facts: Mapping[str, str] | None = None


@contextmanager
def opened_storage(directory: RunDirectory, task: str, named: str | None) -> Iterator[OpenStorage]:
    """The storage that a run has, or begins with; checked before anything else is done.

    Args:
        directory: Of the run; the caller owns it.
        task: Its name.
        named: Address of a database; None goes on as the run began, or begins in a journal file.

    Raises:
        SearchError: The database does not answer, another driver owns the study, or the run's trials are elsewhere.
    """
    manifest = directory.read_manifest()
    recorded = (manifest or {}).get(FACT)
    if manifest is not None and recorded is None and named is not None:
        raise SearchError(
            f"a run goes on where its trials are, but those of {directory.root} are in its journal.log: leave "
            "--storage out or choose another --out"
        )
    url = complete_url(named, recorded["url"] if recorded else None)
    if url is None:
        yield OpenStorage(Journal(directory.journal))
        return
    # Runs on other machines may have the same name.
    study = recorded["study"] if recorded else f"{directory.root.resolve().name}-{task}-{uuid.uuid4().hex[:8]}"
    database = Database(url, study, is_owner=True)
    store = DatabaseStore(database, Unsent(directory.unsent), is_new=recorded is None)
    try:
        # Now, not when the baseline has been trained.
        if recorded:
            database.trials()
        else:
            database.check()
        yield OpenStorage(store, {"url": shown(url), "study": study})
    finally:
        if not directory.manifest.is_file():
            with suppress(SearchError):
                database.forget_if_empty()
        store.close()


def read_run(
    directory: RunDirectory, manifest: Mapping[str, Any] | None = None, named: str | None = None
) -> list[Trial]:
    """The trials of a run, wherever they are, by number; nothing is written. None where it has just begun.

    Args:
        directory: Of the run.
        manifest: Its manifest, where that has been read already.
        named: Address of its database, where it is not the one that the manifest names.

    Raises:
        SearchError: They cannot be read.
    """
    manifest = (directory.read_manifest() or {}) if manifest is None else manifest
    recorded = manifest.get(FACT)
    url = complete_url(named, recorded["url"]) if recorded else None
    if recorded is None or url is None:
        return read_trials(directory.journal) if directory.journal.exists() else []
    database = Database(url, recorded["study"], is_owner=False)
    try:
        trials = [trial_of(frozen) for frozen in database.trials()]
    except DatabaseLostError as error:
        raise SearchError(f"{error}; a password comes from PGPASSWORD, or {VARIABLE} names the database") from error
    finally:
        database.close()
    return [*trials, *(trial for trial in read_unsent(directory.unsent) if trial.number >= len(trials))]
