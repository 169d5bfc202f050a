"""Facts that later searches use again: one line each in a file that several processes may add to at the same time.

A line is a checksum and a JSON object. What a killed process or a full disk left behind fails its checksum and is left
out; nothing that was written before or after it is lost.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SUBJECT = "of"
"""The field that says what an entry is about: of entries about the same the latest counts."""


class TableFile:
    """A bounded table on disk.

    Attributes:
        path: Of the file; it need not exist.
    """

    def __init__(self, path: Path, limit: int) -> None:
        """Reads and writes nothing yet.

        Args:
            path: Of the file; its folder is made when it is written.
            limit: Most entries to give; the latest are kept.
        """
        self.path, self._limit = path, limit

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds one entry, whole or not at all.

        Args:
            entry: What JSON can hold, with the field `of`.

        Raises:
            OSError: The file cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_SH):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                # One write, so that lines of several processes do not mix; the newline in front ends half a line.
                os.write(file, b"\n" + _line(entry) + b"\n")
            finally:
                os.close(file)

    def read(self) -> list[dict[str, Any]]:
        """The latest entry about each subject, as many as the limit allows, in the order they were added.

        A file of more than twice as many lines is written anew where it can be.
        """
        found = self._entries()
        kept = self._kept(found)
        if len(found) > 2 * self._limit and os.access(self.path.parent, os.W_OK):
            self._shorten()
        return kept

    def _shorten(self) -> None:
        with self._locked(fcntl.LOCK_EX):  # nobody adds to the old file while the new one takes its place
            partial = self.path.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(b"".join(_line(entry) + b"\n" for entry in self._kept(self._entries())))
            partial.replace(self.path)

    def _kept(self, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        latest: dict[str, dict[str, Any]] = {}
        for entry in entries:
            latest.pop(entry[SUBJECT], None)
            latest[entry[SUBJECT]] = entry
        return list(latest.values())[-self._limit :]

    def _entries(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        entries = (_entry(line) for line in self.path.read_bytes().split(b"\n"))
        return [entry for entry in entries if entry is not None]

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, how)
            yield


def _line(entry: Mapping[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s" % (zlib.crc32(text), text)


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None where it is damaged."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    entry: dict[str, Any] = json.loads(text)
    return entry if SUBJECT in entry else None
