"""Where a run keeps its files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run.

    `run.json` says what is searched (task, profile, versions, seed, fingerprint, baseline facts); `journal.log` is the
    Optuna study with every trial, unless that is in a database; `log.jsonl` says what happened; `artefacts/` holds the
    deployable files, `report.html` the report.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """What is searched, as JSON."""
        return self.root / "run.json"

    @property
    def journal(self) -> Path:
        """The Optuna study."""
        return self.root / "journal.log"

    @property
    def pending(self) -> Path:
        """The proposals that workers were at."""
        return self.root / "pending.json"

    @property
    def unsent(self) -> Path:
        """Trials that are not in the run's database yet."""
        return self.root / "unsent.jsonl"

    @property
    def log(self) -> Path:
        """What happened, as JSON lines."""
        return self.root / "log.jsonl"

    @property
    def artefacts(self) -> Path:
        """Deployable files by trial."""
        return self.root / "artefacts"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        """Held by the one search that may write here."""
        return self.root / "run.lock"

    def write_manifest(self, facts: dict[str, Any]) -> None:
        """Writes `run.json` whole or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        partial = self.manifest.with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps({"schema": SCHEMA, **facts}, indent=2, sort_keys=True) + "\n")
            partial.replace(self.manifest)
        finally:
            partial.unlink(missing_ok=True)

    def read_manifest(self) -> dict[str, Any] | None:
        """What `write_manifest` wrote, or None where there is no run yet."""
        if not self.manifest.is_file():
            return None
        facts: dict[str, Any] = json.loads(self.manifest.read_text())
        return facts
