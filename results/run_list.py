"""The runs in a folder, one line each, whatever state they are in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import ParefrontError
from ..search.run_directory import RunDirectory
from .load import ResultsError, Run, load

_PATTERNS = ("run.json", "*/run.json", "*/*/run.json")
"""The folder itself, its runs, and those of its sweeps."""
_LOCKS = Path("/proc/locks")
UNREADABLE = (ParefrontError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError)
"""What reading a run raises where its files do not hold what a search writes: one of them must not hide the others."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run.

    Attributes:
        directory: Where it is.
        task: What is compressed.
        hardware: The main profile.
        status: `finished`, `stopped`, `running`, `unreadable`; `unfinished` where its program ended without a word, or
            runs on another machine.
        changed: When its manifest was last written.
        n_trials: Ended trials.
        n_front: Members of the reported front.
        accuracy_drop_pt: Points that the pick loses; None where there is no pick, as for the next two.
        speedup: How many times faster than the baseline the pick is.
        size_ratio: How many times smaller.
        summary: The headline; why it cannot be read, where it cannot.
        problems: What of it could not be read.
    """

    directory: Path
    task: str
    hardware: str
    status: str
    changed: datetime
    n_trials: int
    n_front: int
    accuracy_drop_pt: float | None
    speedup: float | None
    size_ratio: float | None
    summary: str
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {
            **fields,
            "directory": str(self.directory),
            "changed": self.changed.isoformat(timespec="seconds"),
            "problems": list(self.problems),
        }


def find_runs(folder: Path) -> list[Path]:
    """The run directories of a folder, of its folders and of its sweeps, by name."""
    return sorted({path.parent for pattern in _PATTERNS for path in folder.glob(pattern)})


def list_runs(folder: Path) -> list[RunLine]:
    """The runs in a folder and in its folders, by name; one that cannot be read is listed with the reason.

    Raises:
        ResultsError: There is none.
    """
    found = find_runs(folder)
    if not found:
        got = "none" if folder.is_dir() else "no directory"
        raise ResultsError(f"a folder of runs must hold a run.json in one of its folders, got {got} in {str(folder)!r}")
    locked = locked_files()
    return [run_line(directory, locked) for directory in found]


def run_line(directory: Path, locked: Sequence[int], load_run: Callable[[Path], Run] = load) -> RunLine:
    """One run, whatever state it is in.

    Args:
        directory: Of the run.
        locked: What `locked_files` gives.
        load_run: Reads it.
    """
    manifest = RunDirectory(directory).manifest
    changed = datetime.fromtimestamp(manifest.stat().st_mtime if manifest.exists() else 0, UTC)
    try:
        run = load_run(directory)
        return _readable(run, changed, run_status(run, locked))
    except UNREADABLE as error:
        return RunLine(directory, "", "", "unreadable", changed, 0, 0, None, None, None, word_problem(error))


def word_problem(error: Exception) -> str:
    """Why a run, or a part of it, cannot be shown."""
    if isinstance(error, ParefrontError):
        return str(error)
    return f"the record must be as a search wrote it, got an error ({type(error).__name__}: {error}): restore it"


def _readable(run: Run, changed: datetime, status: str) -> RunLine:
    baseline, pick = run.findings.baseline, run.findings.pick
    drop = speedup = size_ratio = None
    if baseline is not None and pick is not None:
        drop = pick.value("accuracy_drop")
        speedup, size_ratio = (baseline.value(name) / pick.value(name) for name in ("latency_ms", "size_bytes"))
    facts = (str(run.manifest.get("task", "")), str(run.manifest.get("hardware", "")), status, changed)
    counts = (len(run.trials), len(run.front))
    return RunLine(run.directory, *facts, *counts, drop, speedup, size_ratio, run.summary, run.problems)


def run_status(run: Run, locked: Sequence[int]) -> str:
    """How far a run is, as `RunLine` says it; `locked` is what `locked_files` gives."""
    status = str(run.manifest.get("status", ""))
    if status != "running":
        return status or "unfinished"
    lock = RunDirectory(run.directory).lock
    return "running" if lock.exists() and lock.stat().st_ino in locked else "unfinished"


def locked_files() -> list[int]:
    """Inodes of the files that processes of this machine hold a lock on.

    Looked up instead of tried: a lock that is only tried would, for that moment, turn a search away.
    """
    if not _LOCKS.is_file():
        return []
    rows = [line.split() for line in _LOCKS.read_text(encoding="ascii").splitlines()]
    return [int(row[5].rpartition(":")[2]) for row in rows if len(row) > 5 and row[1] == "FLOCK"]
