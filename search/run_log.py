"""What happened in a run, as JSON lines: for programs, and for whoever asks afterwards why.

One line an entry: `time` (UTC), `level`, `logger`, `event`, `message`, and where they are known `trial` (its number),
`job` (the name of its files), `configuration` (how its key begins), `stage`, `state`, `parent` (the trial that it was
promoted from), `worker` (its machine and process), `seconds`, `reason`, `trace`. Everything that the package logs is in
it. A log that cannot be written is no reason to lose a search.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIELDS = (
    "event",
    "trial",
    "job",
    "configuration",
    "stage",
    "state",
    "parent",
    "worker",
    "seconds",
    "reason",
    "trace",
)
"""What an entry may say beside its message; given to a logger as `extra`."""
PACKAGE = __name__.partition(".")[0]

_log = logging.getLogger(__name__)


class RunLog(logging.Handler):
    """Appends to a file, one whole line at a time."""

    def __init__(self, path: Path) -> None:
        """Does not touch the file yet.

        Args:
            path: The file.
        """
        super().__init__(logging.DEBUG)
        self._path = path
        self._n_lost = 0
        self._is_torn = _ends_torn(path)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one entry, or counts it as lost."""
        try:
            if self._n_lost:
                self._write(_line(_lost_entry(self._n_lost)))
                self._n_lost = 0
            self._write(_line(as_entry(record)))
        except (OSError, TypeError, ValueError) as error:
            self._n_lost += 1
            if self._n_lost == 1:
                # To the others that listen, the display among them; this handler only counts it.
                _log.warning("the log %s cannot be written (%s): the search goes on without it", self._path, error)

    def _write(self, line: bytes) -> None:
        content = b"\n" + line if self._is_torn else line
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # One write, so that a reader never meets half a line but the last.
            self._is_torn = os.write(file, content) < len(content)
        finally:
            os.close(file)
        if self._is_torn:
            raise OSError("the disk took a part of a line only")


@contextmanager
def written_log(path: Path) -> Iterator[None]:
    """Writes all that the package logs to a file, after what it holds."""
    handler, logger = RunLog(path), logging.getLogger(PACKAGE)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log; lines that were cut off by a kill or a full disk are left out."""
    entries = []
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def as_entry(record: logging.LogRecord) -> dict[str, Any]:
    """What is written of a record."""
    given = {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
    return {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "event": "message",
        **given,
        "message": record.getMessage(),
    }


def _lost_entry(n_lost: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    message = f"entries that could not be written here: {n_lost}"
    return {"time": now, "level": "WARNING", "logger": __name__, "event": "entries lost", "message": message}


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


def _ends_torn(path: Path) -> bool:
    """Whether a killed process left half a line."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # there is none yet, or it is empty
        return False
