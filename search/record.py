"""The trials of a run, in an Optuna study: what is recorded is never lost. One driver owns a run."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from ..hardware_profiles.errors import SearchError
from ..spaces import SearchSpace
from .goals import DEFAULT_GOALS, Goals
from .journal import Journal
from .run_directory import RunDirectory
from .study_form import StudyForm
from .trial import Trial


class TrialStore(Protocol):
    """Where the study of one run is kept."""

    def open(self, form: StudyForm) -> list[Trial]:
        """Opens or begins the study, and gives what it holds by number; the first call of all."""
        ...

    def add(self, trial: Trial) -> None:
        """Stores one ended trial; it survives whatever happens afterwards."""
        ...

    def close(self) -> None:
        """Stores what could not be stored before, as far as that is possible."""
        ...


@contextmanager
def owned(directory: RunDirectory) -> Iterator[None]:
    """Makes this process the only search in a run directory; the lock goes with the process, however it ends.

    Raises:
        SearchError: Another process searches there.
    """
    directory.root.mkdir(parents=True, exist_ok=True)
    with directory.lock.open("w") as lock:
        _lock(lock, directory)
        yield


def _lock(lock: IO[str], directory: RunDirectory) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SearchError(
            f"one search at a time may write a run, but another one owns {directory.root}: wait for it or choose "
            "another --out"
        ) from error


class Record:
    """The trials of one run, in the order in which they ended.

    Attributes:
        directory: Of the run.
        trials: All of them.
    """

    def __init__(
        self,
        directory: RunDirectory,
        space: SearchSpace,
        goals: Goals = DEFAULT_GOALS,
        on_add: Callable[[Trial], None] | None = None,
        *,
        store: TrialStore | None = None,
        before_add: Callable[[Trial], Trial] = lambda trial: trial,
    ) -> None:
        """Opens or begins the study; the caller owns the directory (`owned`).

        Args:
            directory: Of the run.
            space: What may be chosen.
            goals: Their scores are the study's values.
            on_add: Told about every trial once it is stored.
            store: Where the study is kept; None for the run's journal file.
            before_add: Gives what is stored of an ended trial.
        """
        self.directory, self._on_add, self._before_add = directory, on_add, before_add
        self._store = Journal(directory.journal) if store is None else store
        self.trials = self._store.open(StudyForm(space, goals))

    def add(self, trial: Trial) -> None:
        """Stores one ended trial; it survives whatever happens afterwards."""
        trial = self._before_add(trial)
        self._store.add(trial)
        self.trials.append(trial)
        if self._on_add is not None:
            self._on_add(trial)
