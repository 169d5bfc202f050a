"""Trials that ended and are not in the database yet, in a file of the run directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..hardware_profiles.errors import SearchError
from .trial import Trial


class Unsent:
    """One line per trial; a trial is in the file before anything is sent, and until all has arrived.

    Attributes:
        trials: In their order.
    """

    def __init__(self, path: Path) -> None:
        """Reads what an earlier process left.

        Args:
            path: The file; made when a trial ends.

        Raises:
            SearchError: It cannot be read.
        """
        self._path = path
        self.trials = read_unsent(path)

    def append(self, trial: Trial) -> None:
        """Keeps a trial.

        Raises:
            OSError: The disk is full; the file holds what it held before.
        """
        line = json.dumps(trial.to_json(), separators=(",", ":")).encode()
        with self._path.open("ab", buffering=0) as file:
            n_bytes = file.tell()
            try:
                # In front too: it ends the half line that a killed process may have left.
                _write(file.fileno(), b"\n" + line + b"\n")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(n_bytes)
                raise
        self.trials.append(trial)

    def clear(self) -> None:
        """Forgets all of them: they have arrived."""
        self._path.unlink(missing_ok=True)
        self.trials = []


def read_unsent(path: Path) -> list[Trial]:
    """The trials in such a file, none where it does not exist; half a line is none yet.

    Raises:
        SearchError: It cannot be read.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SearchError(
            f"{path} holds trials that are not in the database yet, but cannot be read ({error.strerror}): make it "
            "readable"
        ) from error
    return [trial for trial in map(_trial, lines) if trial is not None]


def _trial(line: bytes) -> Trial | None:
    try:
        return Trial.from_json(json.loads(line))
    except (ValueError, LookupError, TypeError):
        return None


def _write(file: int, content: bytes) -> None:
    """All of it; a disk that is nearly full takes a part first."""
    while content:
        content = content[os.write(file, content) :]
