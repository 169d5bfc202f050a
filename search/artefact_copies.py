"""Copies of a run's files at a shared place: a directory or any address that fsspec knows. The local ones are a cache.

A copy is named by what it holds, so that several runs may share a place, and what arrives can be checked. Which copies
a trial has stands in its details.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..hardware_profiles.errors import SearchError
from ..hardware_profiles.runtimes.runtime import external_data
from .trial import Trial

FILES = "files"
"""Detail of a trial: the SHA-256 of each of its files, by the file's name."""
VARIABLE = "PAREFRONT_ARTEFACTS"
"""Environment variable with the place, where it has another name than in the run's manifest, or needs a password."""

_log = logging.getLogger(__name__)


class ArtefactCopies:
    """Copies the files of ended trials, and tries again later what could not be copied.

    Attributes:
        shown: The place, without a password.
    """

    def __init__(self, place: str, folder: Path) -> None:
        """Makes sure that the place can be written.

        Args:
            place: A directory or an address.
            folder: The run's own files.

        Raises:
            SearchError: The place cannot be reached.
        """
        self._folder = folder
        self._system, self._root = _open(place)
        self.shown = _shown(place, self._system, self._root)
        self._waiting: dict[str, Path] = {}
        try:
            self._system.makedirs(self._root, exist_ok=True)
            self._system.pipe_file(f"{self._root}/.parefront", b"")
        except Exception as error:  # Each file system has errors of its own.
            raise SearchError(
                f"--artefacts must be a place that can be written, got {self.shown!r} ({_what(error)})"
            ) from error

    def named(self, trial: Trial) -> Trial:
        """A trial that is about to be recorded, with the names of its copies."""
        details = {name: fact for name, fact in trial.details.items() if name != FILES}
        files = {path.name: digest for path in self._files(trial) if (digest := _digest(path)) is not None}
        return replace(trial, details={**details, FILES: files} if files else details)

    def add(self, trial: Trial) -> None:
        """Copies the files of a recorded trial, and those that wait."""
        self._waiting |= {copy: self._folder / name for name, copy in _copies(trial).items()}
        self.send()

    def add_missing(self, trials: Sequence[Trial]) -> None:
        """Copies what an earlier process of the run could not."""
        wanted = {copy: self._folder / name for trial in trials for name, copy in _copies(trial).items()}
        try:
            found = {Path(each["name"]).name: each["size"] for each in self._system.ls(self._root, detail=True)}
        except Exception as error:
            _log.warning("the copies at %s cannot be listed (%s): all are made again", self.shown, _what(error))
            found = {}
        # A killed process may have left a part of one.
        self._waiting |= {c: p for c, p in wanted.items() if p.is_file() and found.get(c) != p.stat().st_size}
        self.send()

    def send(self) -> None:
        """Copies what waits; what cannot be copied waits on, and is said."""
        for copy, path in list(self._waiting.items()):
            try:
                self._system.put_file(str(path), f"{self._root}/{copy}")
            except Exception as error:
                _log.warning(
                    "%s could not be copied to %s (%s); files that wait for the next attempt: %d",
                    path.name,
                    self.shown,
                    _what(error),
                    len(self._waiting),
                    extra={"event": "copy failed", "reason": _what(error)},
                )
                return
            del self._waiting[copy]

    def _files(self, trial: Trial) -> Iterator[Path]:
        if trial.artefact is not None:
            path = self._folder / trial.artefact
            yield from (each for each in (path, external_data(path), path.with_suffix(".pt")) if each.is_file())


def fetch(place: str, trial: Trial, folder: Path) -> None:
    """Brings a trial's files from their copies, as far as they are not there.

    Args:
        place: As the run's manifest names it.
        trial: A recorded one.
        folder: Where the run's own files are.

    Raises:
        SearchError: They cannot be read, or do not hold what they held.
    """
    place = os.environ.get(VARIABLE) or place
    system, root = _open(place)
    digests: Mapping[str, str] = trial.details.get(FILES, {})
    for name, copy in _copies(trial).items():
        target = folder / name
        if target.is_file():
            continue
        partial = target.with_name(f".{name}.{os.getpid()}.partial")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            system.get_file(f"{root}/{copy}", str(partial))
            if _digest(partial) != digests[name]:
                raise ValueError("it does not hold what was copied there")
            partial.replace(target)
        except Exception as error:
            raise SearchError(
                f"{name} of trial {trial.number} must be in {folder} or as {copy} at {_shown(place, system, root)}, "
                f"but cannot be fetched ({_what(error)}); {VARIABLE} names the place where it has another name here"
            ) from error
        finally:
            partial.unlink(missing_ok=True)


def _copies(trial: Trial) -> dict[str, str]:
    """The names of a trial's copies by the names of its files."""
    digests: Mapping[str, str] = trial.details.get(FILES, {})
    # A record from elsewhere must not lead out of the run's directory.
    plain = {name: digest for name, digest in digests.items() if Path(name).name == name and digest.isalnum()}
    return {name: f"{digest}{Path(name).suffix}" for name, digest in plain.items()}


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        _log.warning("%s cannot be read (%s), so that it has no copy", path, error.strerror)
        return None


def _open(place: str) -> tuple[Any, str]:  # fsspec has no types.
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(place)
    except (ImportError, OSError, ValueError) as error:
        raise SearchError(
            f"--artefacts must be a directory or an address that fsspec knows, got {_without_password(place)!r} "
            f"({_what(error)})"
        ) from error
    return system, root.rstrip("/")


def _shown(place: str, system: Any, root: str) -> str:
    is_local = "file" in system.protocol
    return str(system.unstrip_protocol(root)) if is_local else _without_password(place)


def _without_password(place: str) -> str:
    parts = urlsplit(place)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.password else place


def _what(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
