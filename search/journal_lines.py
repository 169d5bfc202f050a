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
    try:
        with journal.open("rb") as lines, _uncollected():
            return _read(journal, lines)
    except OSError as error:
        raise SearchError(f"{journal} must be readable, got an error ({error.strerror}): check the file") from error


def _read(journal: Path, lines: Iterable[bytes]) -> JournalTrials:
    trials: dict[int, Trial] = {}
    problems: list[str] = []
    is_journal = False
    for number, line in enumerate(lines, start=1):
        if line.startswith(_ADD_TRIAL) or not line.startswith(_OPERATION):
            is_whole = line.endswith(b"\n")  # half a line is cut off when the search goes on, whatever it holds
            trial = _trial(line) if is_whole else None
            if trial is None:
                problems.append(_skipped(journal, number, is_whole=is_whole))
            elif trial.number in trials:
                again = f"line {number} of {journal.name} holds trial {trial.number} again"
                problems.append(f"{again}: the first one counts")
            else:
                trials[trial.number] = trial
        elif line.startswith(_BEGIN_STUDY):
            is_journal = True
        elif line.startswith(_DELETE_STUDY):
            trials.clear()
        else:  # what only Optuna itself writes: let it read it
            return JournalTrials(tuple(read_trials(journal)))
    if problems and not trials and not is_journal:
        raise SearchError(f"{journal} must be the journal of a run, but no line of it can be read: check the file")
    return JournalTrials(tuple(trials.values()), tuple(problems))


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
