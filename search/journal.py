"""A study in a journal file of the run directory: the store of a search whose one driver is on the machine of its disk.

A process killed while it writes leaves at most half a line and a stale lock, which `Journal` repairs; every line before
it is whole, because each trial is one line. A full disk leaves no half line at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from ..hardware_profiles.errors import SearchError
from .study_form import Direction, StudyForm, silence_optuna, trial_of
from .trial import Trial

STUDY = "parefront"


class Journal:
    """See `TrialStore`."""

    def __init__(self, path: Path) -> None:
        """Does not touch the file yet; the caller owns the directory (`owned`).

        Args:
            path: The file.
        """
        self._path = path

    def open(self, form: StudyForm) -> list[Trial]:
        """See `TrialStore`; repairs what a killed process left."""
        _repair(self._path)
        silence_optuna()
        self._form, self._study = form, _study(_storage(self._path), form.directions)
        return [trial_of(frozen) for frozen in self._study.get_trials(deepcopy=False)]

    def add(self, trial: Trial) -> None:
        """See `TrialStore`.

        Raises:
            OSError: The file cannot be written; it holds what it held before.
        """
        n_bytes = self._path.stat().st_size
        try:
            self._study.add_trial(self._form.frozen(trial))
        except OSError:
            os.truncate(self._path, n_bytes)
            raise

    def close(self) -> None:
        """See `TrialStore`."""


def read_trials(journal: Path) -> list[Trial]:
    """The trials in a journal, without writing to it; half a line at its end is ignored.

    Raises:
        SearchError: The file is no journal of a run.
    """
    silence_optuna()
    if not journal.is_file():
        raise SearchError(f"a run has a journal.log, but {journal} does not exist: check the directory")
    try:
        study = optuna.load_study(storage=_storage(journal), study_name=STUDY)
        return [trial_of(frozen) for frozen in study.get_trials(deepcopy=False)]
    except (KeyError, ValueError, OSError) as error:
        raise SearchError(f"{journal} must be the journal of a run, but cannot be read: {error}") from error


def _study(storage: JournalStorage, wanted: Sequence[Direction]) -> optuna.Study:
    """The study in a journal; begun where there is none, or one of other objectives that has no trial."""
    study = optuna.create_study(storage=storage, study_name=STUDY, directions=wanted, load_if_exists=True)
    found = [direction.name.lower() for direction in study.directions]
    if found == list(wanted) or study.get_trials(deepcopy=False):
        return study
    optuna.delete_study(study_name=STUDY, storage=storage)
    return optuna.create_study(storage=storage, study_name=STUDY, directions=wanted)


def _storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal))))


def _repair(journal: Path) -> None:
    """Removes the lock of a killed process, and cuts an unfinished last line off into a file beside."""
    Path(f"{journal}.lock").unlink(missing_ok=True)
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    # A line may also be whole and yet not JSON, where the disk was full or the machine lost power.
    lines = whole.splitlines(keepends=True)
    while lines and not _is_json(lines[-1]):
        lines.pop()
    kept = b"".join(lines)
    if len(kept) < len(content):
        journal.with_suffix(".cut").write_bytes(content[len(kept) :])
        with journal.open("r+b") as file:
            file.truncate(len(kept))
            os.fsync(file.fileno())


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
