"""The trials of a journal file for those who only look at it: quick, and whole lines are not lost for a damaged one.

Optuna replays a journal one operation after the other, with the distributions of every parameter in every line; for
10,000 trials that takes half a minute. What we want of a line is our own trial, which stands in it as it was recorded.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..hardware_profiles.errors import ParefrontError, SearchError
from .journal import read_trials
from .trial import Trial

# Within a JSON text the quotes of a value are escaped, so that these can only be what they look like.
_OPERATION = b'{"op_code":'
_BEGIN_STUDY, _DELETE_STUDY, _ADD_TRIAL = _OPERATION + b"0,", _OPERATION + b"1,", _OPERATION + b"4,"
_TRIAL = b'"user_attrs":{"parefront:trial":'
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class JournalTrials:
    """What a journal holds.

    Attributes:
        trials: In the order in which they were recorded.
        problems: Lines that were skipped, one sentence each.
    """

    trials: tuple[Trial, ...]
    problems: tuple[str, ...] = ()


def read_journal(journal: Path) -> JournalTrials:
    """The trials in a journal, without writing to it; a line that cannot be read is skipped and named.

    Raises:
        SearchError: The file cannot be read, or is no journal of a run.
    """
    return JournalReader(journal).read()


class JournalReader:
    """Reads a journal that may still grow: the first time the whole of it, later what was added."""

    def __init__(self, journal: Path) -> None:
        """Does not open it yet.

        Args:
            journal: The file.
        """
        self._journal = journal
        self._begin()

    def _begin(self) -> None:
        self._trials: dict[int, Trial] = {}
        self._problems: list[str] = []
        self._is_journal = False
        self._n_lines = self._offset = 0
        self._last_line = b""

    def read(self) -> JournalTrials:
        """What the journal holds now; see `read_journal`.

        Raises:
            SearchError: The file cannot be read, or is no journal of a run.
        """
        try:
            with self._journal.open("rb") as file, _uncollected():
                if not self._goes_on(file):
                    self._begin()
                file.seek(self._offset)
                return self._read(file)
        except OSError as error:
            raise SearchError(
                f"{self._journal} must be readable, got an error ({error.strerror}): check the file"
            ) from error

    def _goes_on(self, file: BinaryIO) -> bool:
        """Whether what was read is still there: the file may be another one of the same name."""
        file.seek(self._offset - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line

    def _read(self, lines: Iterable[bytes]) -> JournalTrials:
        half = ""
        for line in lines:
            if line.startswith(_OPERATION) and not line.startswith((_ADD_TRIAL, _BEGIN_STUDY, _DELETE_STUDY)):
                self._begin()  # what only Optuna itself writes: let it read it
                return JournalTrials(tuple(read_trials(self._journal)))
            problem = self._take(line, self._n_lines + 1)
            if not line.endswith(b"\n"):
                half = problem  # it is cut off when the search goes on, whatever it holds
                break
            self._problems += [problem] if problem else []
            self._n_lines, self._offset, self._last_line = self._n_lines + 1, self._offset + len(line), line
        problems = (*self._problems, *([half] if half else []))
        if problems and not self._trials and not self._is_journal:
            raise SearchError(
                f"{self._journal} must be the journal of a run, but no line of it can be read: check the file"
            )
        return JournalTrials(tuple(self._trials.values()), problems)

    def _take(self, line: bytes, number: int) -> str:
        """Notes what a line says; what is wrong with it, where something is."""
        if line.startswith(_BEGIN_STUDY):
            self._is_journal = True
        elif line.startswith(_DELETE_STUDY):
            self._trials.clear()
        else:
            is_whole = line.endswith(b"\n")
            trial = _trial(line) if is_whole else None
            if trial is None:
                return _skipped(self._journal, number, is_whole=is_whole)
            if trial.number in self._trials:
                again = f"line {number} of {self._journal.name} holds trial {trial.number} again"
                return f"{again}: the first one counts"
            self._trials[trial.number] = trial
        return ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Stops the garbage collector: a hundred thousand new values are all kept, and it took a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _trial(line: bytes) -> Trial | None:
    """The trial of a line; None where the line is damaged, or holds none of ours."""
    start = line.find(_TRIAL)
    if start < 0:
        return None
    try:
        text = line[start + len(_TRIAL) :].decode()
        return Trial.from_json(_DECODER.raw_decode(text)[0])
    except (ValueError, KeyError, TypeError, AttributeError, ParefrontError):
        return None


def _skipped(journal: Path, number: int, *, is_whole: bool) -> str:
    why = "is damaged" if is_whole else "is half-written, by a search that runs or was killed"
    return f"line {number} of {journal.name} {why}: skipped"
