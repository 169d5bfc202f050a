"""The runs and sweeps of a folder by name, read again only where their files changed. Nothing outside is reached."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

from ..hardware_profiles.errors import unknown_name
from ..search.journal_lines import JournalReader
from ..search.run_directory import RunDirectory
from ..search.run_log import read_log
from ..search.storage import FACT
from ..search.sweep_directory import SweepDirectory
from ..search.trial import Trial
from .artefact_state import ArtefactState, artefact_states
from .load import ResultsError, Run, load
from .run_list import RunLine, find_runs, locked_files, run_line, run_status
from .sweep import Sweep, load_sweep

MAX_OPEN = 12
"""Runs that are kept in memory with all their trials."""
DATABASE_SECONDS = 15
"""How long what was read from a database counts as new: it has no file whose change could be seen."""
_SWEEPS = ("sweep.json", "*/sweep.json")
ITSELF = "."
"""Name of a run whose directory is the folder itself."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of a run while its files had a stamp."""

    stamp: str
    line: RunLine


class RunCatalogue:
    """The runs of one folder. Names are looked up among those found, never joined to a path.

    May be used by several threads.
    """

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet.

        Args:
            folder: With runs in it, or itself a run.
        """
        self.folder = folder
        self._lock = RLock()
        self._lines: dict[Path, _Read] = {}
        self._runs: OrderedDict[Path, tuple[str, Run]] = OrderedDict()
        self._journals: dict[Path, JournalReader] = {}
        self._in_database: set[Path] = set()

    def directories(self) -> dict[str, Path]:
        """Every run directory by its name: its path within the folder."""
        return {path.relative_to(self.folder).as_posix(): path for path in find_runs(self.folder)}

    def sweeps(self) -> dict[str, Path]:
        """Every sweep's directory by its name: its path within the folder."""
        found = sorted({path.parent for pattern in _SWEEPS for path in self.folder.glob(pattern)})
        return {path.relative_to(self.folder).as_posix(): path for path in found if is_inside(path, self.folder)}

    def sweep(self, name: str) -> Sweep:
        """A sweep as it is now.

        Raises:
            ParefrontError: There is no sweep of that name, or it cannot be read.
        """
        return load_sweep(self._sweep(name).root, self._opened)

    def stamp(self, name: str | None = None, sweep: str | None = None) -> str:
        """What changes when a run or a sweep changes; without a name, when any of them does.

        Raises:
            ResultsError: There is no run of that name.
        """
        with self._lock:
            if name is not None:
                return self._stamp(self._directory(name))
            if sweep is not None:
                return self._sweep_stamp(self._sweep(sweep))
            found, locked = self.directories().values(), locked_files()
            inodes = [_inode(RunDirectory(path).lock) in locked for path in found]
            return " ".join(f"{self._stamp(path)}{is_locked:d}" for path, is_locked in zip(found, inodes, strict=True))

    def read_ahead(self) -> None:
        """Reads all runs, one by one, so that whoever looks later need not wait for all of them."""
        for path in self.directories().values():
            with self._lock, suppress(OSError):  # it may just have been deleted
                self._line(path, locked_files())

    def lines(self) -> dict[str, RunLine]:
        """Every run in one line, by name; one that cannot be read has the reason in it."""
        with self._lock:
            locked = locked_files()
            return {name: self._line(path, locked) for name, path in self.directories().items()}

    def run(self, name: str) -> Run:
        """A run as it is now.

        Raises:
            ParefrontError: There is no run of that name, or it cannot be read.
        """
        with self._lock:
            return self._opened(self._directory(name))

    def status(self, name: str) -> str:
        """How far a run is, in one word.

        Raises:
            ParefrontError: There is no run of that name, or it cannot be read.
        """
        return run_status(self.run(name), locked_files())

    def artefact(self, name: str, number: int) -> Path:
        """The file of a trial, as the record names it, whole and within the run's directory.

        Raises:
            ParefrontError: There is none to hand out; says why.
        """
        run = self.run(name)
        trial = next((each for each in run.trials if each.number == number), None)
        if trial is None:
            raise ResultsError(f"the trial must be one of run {name}, got {number}: see its list of trials")
        problem = handing_out_problem(run, trial)
        path = run.artefact(trial)
        if problem or path is None or not is_inside(path, run.directory):
            why = problem or "it is not in the run's directory"
            raise ResultsError(f"the file of trial {number} of run {name} is not handed out: {why}")
        return path

    def log(self, name: str, trial: Trial) -> list[dict[str, Any]]:
        """What the run's log says of a trial, and of its configuration while it was evaluated.

        Raises:
            ParefrontError: There is no run of that name.
        """
        path = RunDirectory(self._directory(name)).log
        try:
            entries = read_log(path)
        except OSError:  # runs of older versions have none
            return []
        return [entry for entry in entries if _is_about(entry, trial)]

    def _directory(self, name: str) -> Path:
        known = self.directories()
        if name not in known:
            raise ResultsError(f"{unknown_name('run', name, known)}; choose one from the list")
        _check(known[name], self.folder)
        return known[name]

    def _sweep(self, name: str) -> SweepDirectory:
        known = self.sweeps()
        if name not in known:
            raise ResultsError(f"{unknown_name('sweep', name, known)}; choose one from the list")
        return checked_sweep(known[name], self.folder)

    def _opened(self, directory: Path) -> Run:
        """A run, read as far as it changed, and kept."""
        with self._lock:
            stamp = self._stamp(directory)
            known = self._runs.get(directory)
            if known is None or known[0] != stamp:
                known = stamp, self._load(directory)
                self._runs[directory] = known
            self._runs.move_to_end(directory)
            while len(self._runs) > MAX_OPEN:
                self._journals.pop(self._runs.popitem(last=False)[0], None)
            return known[1]

    def _known_or_read(self, directory: Path) -> Run:
        """A run that is open, where nothing of it changed; else it is read, and not kept."""
        with self._lock:
            opened = self._runs.get(directory)
            is_new = opened is not None and opened[0] == self._stamp(directory)
            return opened[1] if opened is not None and is_new else self._read_once(directory)

    def _load(self, directory: Path) -> Run:
        _check(directory, self.folder)
        reader = self._journals.setdefault(directory, JournalReader(RunDirectory(directory).journal))
        run = load(directory, journal=reader)
        if run.manifest.get(FACT) is not None:
            self._in_database.add(directory)
        return run

    def _line(self, directory: Path, locked: list[int]) -> RunLine:
        stamp = self._stamp(directory)
        known = self._lines.get(directory)
        if known is None or known.stamp != stamp:
            # Not kept: the trials of a hundred runs would fill the memory.
            line = run_line(directory, locked, self._known_or_read)
            known = self._lines[directory] = _Read(stamp, line)
        if known.line.status in ("running", "unfinished"):
            is_locked = _inode(RunDirectory(directory).lock) in locked
            return replace(known.line, status="running" if is_locked else "unfinished")
        return known.line

    def _read_once(self, directory: Path) -> Run:
        _check(directory, self.folder)
        run = load(directory)
        if run.manifest.get(FACT) is not None:
            self._in_database.add(directory)
        return run

    def _sweep_stamp(self, directory: SweepDirectory) -> str:
        searches = [each.name for each in directory.read_plan().searches]
        own = (directory.manifest, directory.driving, *map(directory.noted, searches))
        runs = [self._stamp(directory.run(name).root) for name in searches]
        return " ".join([directory.driver(), *map(_file_stamp, own), *runs])

    def _stamp(self, directory: Path) -> str:
        run = RunDirectory(directory)
        files = [_file_stamp(path) for path in (run.manifest, run.journal, run.unsent)]
        if directory in self._in_database:
            files.append(str(int(time.monotonic() / DATABASE_SECONDS)))
        return ",".join(files)


def handing_out_problem(run: Run, trial: Trial) -> str:
    """Why the file of a trial is not handed out; empty where it is."""
    if trial.is_verified is False:
        return f"it failed its check: {trial.reason}"
    state = artefact_states([trial], run.artefacts)[0]
    return "" if state is ArtefactState.WHOLE else _STATES[state]


def checked_sweep(root: Path, folder: Path) -> SweepDirectory:
    """A sweep's directory of which nothing leads out of the folder that was opened.

    Raises:
        ParefrontError: Something does, or it cannot be read.
    """
    directory = SweepDirectory(root)
    _check_inside((root, directory.manifest, directory.driving), folder)
    for search in directory.read_plan().searches:
        _check_inside((directory.run(search.name).root, directory.noted(search.name)), folder)
    return directory


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, followed to what it really is, lies in a folder."""
    return path.resolve().is_relative_to(folder.resolve())


_STATES: Mapping[ArtefactState, str] = {
    ArtefactState.NONE: "the trial has none",
    ArtefactState.MISSING: "it is missing",
    ArtefactState.DAMAGED: "it is damaged, of another size than was recorded",
    ArtefactState.ELSEWHERE: "it lies at the shared place of the run; `parefront export` fetches it",
}


def _check(directory: Path, folder: Path) -> None:
    """Refuses what a link would lead out of the folder for.

    Raises:
        ResultsError: It would.
    """
    run = RunDirectory(directory)
    _check_inside((directory, run.manifest, run.journal, run.unsent, run.log, run.artefacts), folder)


def _check_inside(paths: Iterable[Path], folder: Path) -> None:
    for path in paths:
        if not is_inside(path, folder):
            shown = os.path.relpath(path, folder)
            raise ResultsError(
                f"what is shown must lie in the folder that was opened, but {shown} leads out of it: open the folder "
                "that it leads to"
            )


def _is_about(entry: Mapping[str, Any], trial: Trial) -> bool:
    if entry.get("trial") is not None:
        return bool(entry["trial"] == trial.number)
    key = entry.get("configuration")
    return isinstance(key, str) and bool(key) and trial.configuration.key.startswith(key)


def _file_stamp(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return "-"
    return f"{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}"


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1
