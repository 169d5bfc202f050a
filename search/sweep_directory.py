"""Where a sweep keeps what it is, who runs it, and what became of each of its searches: readable at any moment."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import SearchError
from .process_identity import is_alive, start_of
from .record import owned
from .run_directory import RunDirectory
from .sweep_plan import SweepPlan

SCHEMA = 1


class SearchState(StrEnum):
    """What became of a search of a sweep so far."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    """It failed, and begins again as long as retries are left."""
    INTERRUPTED = "interrupted"
    """It was running when the sweep was stopped or killed; its ended trials are kept."""
    FAILED = "failed"
    FINISHED = "finished"


class Stop(StrEnum):
    """How a sweep is to end before all is done."""

    AFTER_SEARCHES = "after searches"
    """Searches that run go to their end; no other begins."""
    NOW = "now"
    """Searches that run are interrupted; what they have evaluated is kept."""


class Event(StrEnum):
    """What a search of a sweep notes of itself."""

    BEGAN = "began"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    GIVEN_UP = "given up"
    """It failed, and no retries are left."""


_ENDED = {
    Event.FINISHED: SearchState.FINISHED,
    Event.STOPPED: SearchState.INTERRUPTED,
    Event.GIVEN_UP: SearchState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Attempts:
    """The times that a search was begun.

    Attributes:
        n_begun: How often.
        last: What was noted last; None where it never began.
        error: Why it failed last; empty where it did not, or goes on.
    """

    n_begun: int = 0
    last: Event | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SweepDirectory:
    """Paths and files of one sweep.

    `sweep.json` holds the plan and, at the end, the results; `driver.json` who runs it; `stop.json` that somebody asked
    it to end; `fronts.html` the figures; `tune/` what Ray Tune keeps. Every search has the run directory of its name
    here, and beside the run's own files `search.yaml` (its flags), `attempts.jsonl` and `output.log` in it.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """The plan and the results."""
        return self.root / "sweep.json"

    @property
    def driving(self) -> Path:
        """Who runs it."""
        return self.root / "driver.json"

    @property
    def fronts(self) -> Path:
        """The figures."""
        return self.root / "fronts.html"

    @property
    def tune(self) -> Path:
        """What Ray Tune goes on from."""
        return self.root / "tune"

    def run(self, name: str) -> RunDirectory:
        """The run directory of a search."""
        return RunDirectory(self.root / name)

    def flags(self, name: str) -> Path:
        """What `parefront search --config` of a search reads."""
        return self.root / name / "search.yaml"

    def noted(self, name: str) -> Path:
        """What a search notes of its attempts."""
        return self.root / name / "attempts.jsonl"

    def output(self, name: str) -> Path:
        """What a search printed."""
        return self.root / name / "output.log"

    def write(self, plan: SweepPlan, results: dict[str, Any] | None = None) -> None:
        """Keeps the plan, and what came out of it."""
        self._write(self.manifest, {"schema": SCHEMA, "plan": plan.to_json(), **(results or {})})

    def read_plan(self) -> SweepPlan:
        """The plan.

        Raises:
            SearchError: This is no sweep, or one of a newer version.
        """
        facts = self._read(self.manifest)
        if facts is None:
            raise SearchError(
                f"a sweep's directory must hold sweep.json, got {str(self.root)!r} without it: begin one with "
                "`parefront sweep FILE`"
            )
        if facts.get("schema") != SCHEMA:
            raise SearchError(
                f"schema of {self.manifest} must be {SCHEMA}, got {facts.get('schema')!r}: read it with the parefront "
                "that wrote it"
            )
        return SweepPlan.from_json(facts["plan"])

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Makes this process the only one that runs the sweep, and says so to `driver`.

        Raises:
            SearchError: Another one runs it.
        """
        with owned(RunDirectory(self.root)):
            facts = {"host": socket.gethostname(), "pid": os.getpid(), "start": start_of(os.getpid())}
            self._write(self.driving, facts)
            (self.root / "stop.json").unlink(missing_ok=True)
            try:
                yield
            finally:
                self.driving.unlink(missing_ok=True)

    def driver(self) -> str:
        """Who runs the sweep, in words; empty where nobody does.

        A process on another machine cannot be looked for, so it counts until it says that it has ended.
        """
        facts = self._read(self.driving)
        if facts is None:
            return ""
        if facts["host"] != socket.gethostname():
            return f"process {facts['pid']} on {facts['host']}"
        return f"process {facts['pid']}" if is_alive(facts["pid"], facts["start"]) else ""

    def ask_to_stop(self, how: Stop) -> None:
        """Leaves word for whoever runs the sweep."""
        self._write(self.root / "stop.json", {"how": how})

    def stop(self) -> Stop | None:
        """How the sweep was asked to end, if at all."""
        facts = self._read(self.root / "stop.json")
        return None if facts is None else Stop(facts["how"])

    def note(self, name: str, event: Event, **facts: Any) -> None:
        """Adds a line to what a search tells of its attempts."""
        path = self.noted(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = {"event": event, "time": time.time(), "host": socket.gethostname(), **facts}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def attempts(self, name: str) -> Attempts:
        """What a search told of its attempts; half a line that a killed process left is ignored."""
        path = self.noted(name)
        if not path.is_file():
            return Attempts()
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        noted = [json.loads(line) for line in lines]
        if not noted:
            return Attempts()
        n_begun = sum(each["event"] == Event.BEGAN for each in noted)
        return Attempts(n_begun, Event(noted[-1]["event"]), noted[-1].get("error", ""))

    def state(self, name: str, *, is_driven: bool) -> SearchState:
        """What became of a search.

        Args:
            name: Of the search.
            is_driven: Whether somebody runs the sweep.
        """
        attempts = self.attempts(name)
        if attempts.n_begun == 0:
            return SearchState.WAITING
        assert attempts.last is not None, "it begins with a note"
        if attempts.last is Event.BEGAN:
            return SearchState.RUNNING if is_driven else SearchState.INTERRUPTED
        if attempts.last is Event.FAILED:
            return SearchState.RETRYING if is_driven else SearchState.FAILED
        return _ENDED[attempts.last]

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SearchError(f"{path} must be readable JSON, got an error ({error}): restore it") from error
        return facts

    def _write(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes a file whole or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
