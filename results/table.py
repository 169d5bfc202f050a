"""All trials of a run as one tidy table, for pandas and for files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..evaluators.evaluator import Score
from ..search.trial import Trial
from ..spaces.site import Site
from .artefact_state import artefact_states
from .findings import Findings

PARQUET, CSV = "trials.parquet", "trials.csv"
CHOICE = "choice:"
"""Begins the columns of decisions; the site's name follows."""
_UNIT_SUFFIXES = {"%": "_percent", "pt": "_pt"}
"""What a score's name lacks to say its unit; the other names (`latency_ms`, `size_bytes`, `macs`) say it themselves."""


def trial_table(findings: Findings, sites: Sequence[Site] = (), artefacts: Path = Path()) -> pd.DataFrame:
    """One row per trial, indexed by `number`; `docs/results.md` says what each column holds, and in which unit.

    Args:
        findings: Of one run's trials.
        sites: What could be chosen; every one has a column.
        artefacts: Directory of the exported files.
    """
    columns: dict[str, pd.Series] = {
        **_facts(findings, artefacts),
        **_scores(findings.trials),
        **_seconds(findings.trials),
        **_choices(findings.trials, sites),
    }
    return pd.DataFrame(columns).set_index("number")


def write_table(table: pd.DataFrame, directory: Path) -> tuple[Path, Path]:
    """Writes the table as `trials.parquet` and `trials.csv`, each whole or not at all.

    Args:
        table: What `trial_table` gives.
        directory: Of the run.

    Returns:
        Both files.

    Raises:
        OSError: They cannot be written.
    """
    parquet, csv = directory / PARQUET, directory / CSV
    for path, write in ((parquet, table.to_parquet), (csv, table.to_csv)):
        partial = path.with_suffix(f".{os.getpid()}.partial")
        write(partial)
        partial.replace(path)
    return parquet, csv


def score_column(score: Score) -> str:
    """The name of a score with its unit: `accuracy_percent`, `accuracy_drop_pt`, `latency_ms@board`."""
    return score.name + _UNIT_SUFFIXES.get(score.unit, "")


def _facts(findings: Findings, artefacts: Path) -> dict[str, pd.Series]:
    trials = findings.trials
    members = {trial.number for trial in findings.front}
    kinds: dict[str, tuple[str, list[Any]]] = {
        "number": ("int64", [t.number for t in trials]),
        "state": ("string", [t.state.value for t in trials]),
        "fidelity": ("string", [t.fidelity.value for t in trials]),
        "origin": ("string", [t.origin for t in trials]),
        "parent": ("Int64", [t.parent for t in trials]),
        "supersedes": ("Int64", [t.supersedes for t in trials]),
        "is_superseded": ("bool", [t.number in findings.superseded for t in trials]),
        "is_reused": ("bool", [t.is_reused for t in trials]),
        "is_baseline": ("bool", [t is findings.baseline for t in trials]),
        "is_on_front": ("bool", [t.number in members for t in trials]),
        "is_pick": ("bool", [t is findings.pick for t in trials]),
        "is_verified": ("boolean", [t.is_verified for t in trials]),
        "reason": ("string", [t.reason for t in trials]),
        "artefact": ("string", [t.artefact for t in trials]),
        "artefact_state": ("string", [state.value for state in artefact_states(trials, artefacts)]),
        "latency_quality": ("string", [t.details.get("latency_quality") for t in trials]),
    }
    return {name: pd.Series(values, dtype=kind) for name, (kind, values) in kinds.items()}


def _scores(trials: Sequence[Trial]) -> dict[str, pd.Series]:
    """Value and interval of every score that any trial has; no interval where the values are exact."""
    columns: dict[str, pd.Series] = {}
    for name in dict.fromkeys(name for trial in trials for name in trial.scores):
        scores = [trial.scores.get(name) for trial in trials]
        column = score_column(next(score for score in scores if score is not None))
        ends = {"": "value", "_low": "low", "_high": "high"}
        found = {end: _numbers([getattr(score, name, None) for score in scores]) for end, name in ends.items()}
        columns |= {column + end: values for end, values in found.items() if values.notna().any()}
    return columns


def _seconds(trials: Sequence[Trial]) -> dict[str, pd.Series]:
    stages = dict.fromkeys(stage for trial in trials for stage in trial.seconds)
    return {f"{stage}_seconds": _numbers([trial.seconds.get(stage) for trial in trials]) for stage in stages}


def _choices(trials: Sequence[Trial], sites: Sequence[Site]) -> dict[str, pd.Series]:
    """What each site was set to, its neutral choice where nothing was decided; numbers where all choices are."""
    decided: list[Mapping[str, Any]] = [dict(trial.configuration) for trial in trials]
    columns = {}
    for site in sites:
        values = [choices.get(site.name, site.neutral) for choices in decided]
        is_number = all(isinstance(choice, int) for choice in site.choices)
        columns[f"{CHOICE}{site.name}"] = (
            pd.Series(values, dtype="int64") if is_number else pd.Series(map(str, values), dtype="string")
        )
    return columns


def _numbers(values: Sequence[float | None]) -> pd.Series:
    return pd.Series([float("nan") if value is None else value for value in values], dtype="float64")
