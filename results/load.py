"""Opens a run directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..hardware_profiles.errors import ParefrontError
from ..search.artefact_copies import FILES, fetch
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.journal_lines import JournalReader, JournalTrials
from ..search.keeping import ARTEFACTS_FACT
from ..search.objectives import Objectives
from ..search.run_directory import SCHEMA, RunDirectory
from ..search.storage import FACT, read_run
from ..search.trial import Trial
from ..spaces.site import Site
from .artefact_state import artefact_problems
from .beginning import beginning_line, storing_problem
from .ending import ending_line
from .findings import Findings
from .summary import foretold_line, rungs_line, screening_line, summary_line
from .table import trial_table

if TYPE_CHECKING:
    from .run_figures import RunFigures


class ResultsError(ParefrontError):
    """A run cannot be read or presented."""


@dataclass(frozen=True)
class Run:
    """What one search found so far; it may still be running.

    Attributes:
        directory: Where it was read from.
        manifest: What was searched and on what, as `run.json` holds it.
        trials: By number; trial 0 is the baseline.
        problems: What could not be read and was left out, one sentence each; empty as a rule.
    """

    directory: Path
    manifest: Mapping[str, Any]
    trials: tuple[Trial, ...]
    problems: tuple[str, ...] = ()

    @cached_property
    def findings(self) -> Findings:
        """Baseline, front and pick, kept once they were worked out."""
        return Findings(self.trials, self.goals)

    @property
    def baseline(self) -> Trial:
        """The uncompressed network, with the training of the reported front where it had it.

        Raises:
            ResultsError: It has not been evaluated.
        """
        baseline = self.findings.baseline
        if baseline is None:
            raise ResultsError(f"{self.directory} must hold an evaluated baseline: {self.summary}; search again")
        return baseline

    @property
    def front(self) -> list[Trial]:
        """The members of the reported front, from accurate to fast."""
        return list(self.findings.front)

    @property
    def summary(self) -> str:
        """How much faster and smaller, and at what loss."""
        return summary_line(self.findings)

    @property
    def beginning(self) -> str:
        """What the search knew when it began; empty where that was nothing."""
        return beginning_line(self.manifest)

    @property
    def storing_problem(self) -> str:
        """Why measurements could not be stored for later searches; empty where they were."""
        return storing_problem(self.manifest)

    @property
    def ending(self) -> str:
        """What ended the search and what there was no time for; empty before its end."""
        return ending_line(self.manifest, self.findings)

    @property
    def screening(self) -> str:
        """How far the predictions that chose the candidates can be trusted; empty where nothing was predicted."""
        return screening_line(self.trials)

    @property
    def foretold(self) -> str:
        """How far the predictions of drops can be trusted; empty where hardly any was foretold."""
        return foretold_line(self.trials)

    @property
    def rungs(self) -> str:
        """How far the accuracy after little training could be trusted; empty where no candidate was promoted."""
        return rungs_line(self.trials)

    @property
    def sites(self) -> tuple[Site, ...]:
        """What could be chosen."""
        sites = self.manifest.get("space", {}).get("sites", ())
        return tuple(
            Site(site["name"], tuple(site["layers"]), tuple(site["choices"]), tuple(map(tuple, site.get("spans", ()))))
            for site in sites
        )

    @property
    def goals(self) -> Goals:
        """What the search trades off, and within which limits."""
        goals = self.manifest.get("goals")
        return Goals.from_json(goals) if goals else DEFAULT_GOALS

    @property
    def objectives(self) -> Objectives:
        """What the search trades off."""
        return self.goals.objectives

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of the hardware profiles that measured, the main one first."""
        main = self.manifest.get("hardware", "")
        return tuple(each["hardware"] for each in self.manifest.get("profiles", ())) or (main,)

    @property
    def figures(self) -> RunFigures:
        """Plotly figures by name; `list(run.figures)` names them all."""
        from .run_figures import RunFigures  # here, so that a run can be read without loading Plotly

        return RunFigures(self)

    @property
    def artefacts(self) -> Path:
        """The directory of the exported files."""
        return RunDirectory(self.directory).artefacts

    def artefact(self, trial: Trial) -> Path | None:
        """The exported file of a trial, or None where it has none on disk."""
        path = self.artefacts / trial.artefact if trial.artefact else None
        # A record from elsewhere must not lead out of the run directory.
        is_inside = path is not None and path.parent == self.artefacts and path.name != ".."
        return path if is_inside and path is not None and path.is_file() else None

    def fetched_artefact(self, trial: Trial) -> Path | None:
        """The same; where it is not on disk, brought from where the search copied it to.

        Raises:
            SearchError: The copy cannot be read.
        """
        if trial.artefact and self._is_elsewhere(trial):
            fetch(self.manifest[ARTEFACTS_FACT], trial, self.artefacts)
        return self.artefact(trial)

    def artefact_problems(self, trials: Iterable[Trial]) -> list[str]:
        """One sentence for each of these trials whose exported file is missing, copies included, or damaged."""
        return artefact_problems([trial for trial in trials if not self._is_elsewhere(trial)], self.artefacts)

    def _is_elsewhere(self, trial: Trial) -> bool:
        """Whether a trial's file is not here, but was copied."""
        has_copy = self.manifest.get(ARTEFACTS_FACT) is not None and FILES in trial.details
        return has_copy and self.artefact(trial) is None

    @property
    def table(self) -> pd.DataFrame:
        """One row per trial, indexed by number; made anew at each call. See `trial_table`."""
        return trial_table(self.findings, self.sites, self.artefacts)


def load(path: Path | str, storage: str | None = None, journal: JournalReader | None = None) -> Run:
    """Reads a run, finished or not.

    Args:
        path: The run directory.
        storage: Address of the database with its trials, where they are in one that cannot be reached by the address in
            the manifest, which has no password; None for that one or the one in `PAREFRONT_STORAGE`.
        journal: What has read a part of its journal already, so that only what was added is read; None reads it whole.

    Raises:
        ResultsError: There is no run, or it is damaged beyond single trials, or it was written by a newer version.
    """
    directory = RunDirectory(Path(path))
    manifest = _read_manifest(directory)
    if manifest.get("schema") != SCHEMA:
        raise ResultsError(
            f"schema of {directory.manifest} must be {SCHEMA}, got {manifest.get('schema')!r}: "
            f"read it with parefront {manifest.get('version', 'of the version that wrote it')}"
        )
    found = _read_trials(directory, manifest, storage, journal or JournalReader(directory.journal))
    trials = tuple(sorted(found.trials, key=lambda trial: trial.number))
    if trials and trials[0].number != 0:
        # What is relative to the baseline would silently be relative to something else.
        raise ResultsError(
            f"a run must hold trial 0, its baseline, but the record of {directory.root} begins with trial "
            f"{trials[0].number}{f' ({found.problems[0]})' if found.problems else ''}: restore it"
        )
    run = Run(directory.root, manifest, trials, found.problems)
    try:
        _ = run.goals, run.sites, run.profiles
    except (LookupError, TypeError, ValueError, AttributeError, ParefrontError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ResultsError(
            f"{directory.manifest} must be as a search wrote it, got an error ({what}): restore it"
        ) from error
    return run


def _read_trials(
    directory: RunDirectory, manifest: Mapping[str, Any], storage: str | None, journal: JournalReader
) -> JournalTrials:
    if manifest.get(FACT) is not None:
        return JournalTrials(tuple(read_run(directory, manifest, storage)))
    if directory.journal.exists():
        return journal.read()
    # A search that has just begun has none yet.
    is_lost = manifest.get("status") in ("finished", "stopped")
    return JournalTrials((), (f"{directory.journal.name} with its trials is missing",) if is_lost else ())


def _read_manifest(directory: RunDirectory) -> dict[str, Any]:
    try:
        manifest = directory.read_manifest()
    except (OSError, ValueError) as error:
        raise ResultsError(f"{directory.manifest} must be readable JSON, got an error ({error}): restore it") from error
    if isinstance(manifest, dict):
        return manifest
    if manifest is not None:
        raise ResultsError(f"{directory.manifest} must hold a JSON object, got {type(manifest).__name__}: restore it")
    inner = sorted(path.parent.name for path in directory.root.glob("*/run.json"))
    remedy = f"it holds the runs {', '.join(inner)}" if inner else "start one with `parefront search TASK --out RUN`"
    got = "without it" if directory.root.is_dir() else "which is no directory"
    raise ResultsError(f"a run directory must hold run.json, got {str(directory.root)!r} {got}: {remedy}")
