"""Writes trials to an Optuna study in a journal file, and reads them back: what is recorded is never lost.

One driver owns the file. A process killed while it writes leaves at most half a line and a stale lock, which `Record`
repairs; every line before it is whole, because each trial is one line.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..hardware_profiles.errors import SearchError
from ..spaces import SearchSpace
from .goals import DEFAULT_GOALS, Goals
from .run_directory import RunDirectory
from .trial import State, Trial

Direction: TypeAlias = Literal["maximize", "minimize"]
STUDY = "parefront"
_TRIAL = "parefront:trial"


@contextmanager
def owned(directory: RunDirectory) -> Iterator[None]:
    """Makes this process the only search in a run directory; the lock goes with the process, however it ends.

    Raises:
        SearchError: Another process searches there.
    """
    directory.root.mkdir(parents=True, exist_ok=True)
    with directory.lock.open("w") as lock:
        _lock(lock, directory.root)
        yield


def _lock(lock: IO[str], root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SearchError(
            f"one search at a time may write a run, but another one owns {root}: wait for it or choose another --out"
        ) from error


class Record:
    """The trials of one run, in the order in which they ended.

    Attributes:
        directory: Where it is kept.
        trials: All of them.
    """

    def __init__(
        self,
        directory: RunDirectory,
        space: SearchSpace,
        goals: Goals = DEFAULT_GOALS,
        on_add: Callable[[Trial], None] | None = None,
    ) -> None:
        """Opens or begins the study; the caller owns the directory (`owned`).

        Args:
            directory: Of the run.
            space: What may be chosen.
            goals: Their scores are the study's values.
            on_add: Told about every trial once it is stored.
        """
        self.directory, self._on_add = directory, on_add
        self._names = study_values(goals)
        _repair(directory.journal)
        _quiet()
        self._study = _study(_storage(directory.journal), directions(goals))
        self._distributions: dict[str, BaseDistribution] = {
            site.name: CategoricalDistribution(site.choices) for site in space.sites
        }
        self._neutral = {site.name: site.neutral for site in space.sites}
        self.trials: list[Trial] = [_trial(frozen) for frozen in self._study.get_trials(deepcopy=False)]

    def add(self, trial: Trial) -> None:
        """Stores one ended trial; it survives whatever happens afterwards."""
        is_complete = trial.state is State.COMPLETE
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if is_complete else TrialState.FAIL,
                values=[trial.value(name) for name in self._names] if is_complete else None,
                params={**self._neutral, **trial.configuration},
                distributions=self._distributions,
                user_attrs={_TRIAL: trial.to_json()},
            )
        )
        self.trials.append(trial)
        if self._on_add is not None:
            self._on_add(trial)


def study_values(goals: Goals) -> tuple[str, ...]:
    """The scores that a study holds as its values: the accuracy itself, which people read more easily than its drop."""
    return tuple("accuracy" if axis.is_accuracy else axis.score for axis in goals.objectives)


def directions(goals: Goals) -> tuple[Direction, ...]:
    """Of the study's values."""
    return tuple("maximize" if axis.is_accuracy else "minimize" for axis in goals.objectives)


def read_trials(journal: Path) -> list[Trial]:
    """The trials in a journal, without writing to it; half a line at its end is ignored.

    Raises:
        SearchError: The file is no journal of a run.
    """
    _quiet()
    if not journal.is_file():
        raise SearchError(f"a run has a journal.log, but {journal} does not exist: check the directory")
    try:
        study = optuna.load_study(storage=_storage(journal), study_name=STUDY)
        return [_trial(frozen) for frozen in study.get_trials(deepcopy=False)]
    except (KeyError, ValueError) as error:
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


def _trial(frozen: FrozenTrial) -> Trial:
    return Trial.from_json(frozen.user_attrs[_TRIAL])


def _quiet() -> None:
    # Optuna announces every study it opens; the program has its own display.
    optuna.logging.set_verbosity(optuna.logging.WARNING)


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
