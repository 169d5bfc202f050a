"""Whether the exported files of a run are there and whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from ..hardware_profiles.runtimes.runtime import external_data
from ..search.artefact_copies import FILES
from ..search.trial import Trial


class ArtefactState(StrEnum):
    """What became of a trial's file. Sizes are compared, not contents: `parefront verify` runs a file."""

    WHOLE = "whole"
    MISSING = "missing"
    DAMAGED = "damaged"
    """Of another size than was recorded."""
    ELSEWHERE = "elsewhere"
    """Not in the run directory, but copied to a shared place when it was made."""
    NONE = "none"
    """The trial has no file: it failed, or was closed."""


def artefact_states(trials: Iterable[Trial], folder: Path) -> list[ArtefactState]:
    """The state of each trial's file; one look into the folder for all of them.

    Args:
        trials: Of one run.
        folder: Its directory of artefacts; it may be missing.
    """
    sizes = _sizes(folder)
    return [_state(trial, sizes) for trial in trials]


def artefact_problems(trials: Iterable[Trial], folder: Path) -> list[str]:
    """One sentence for each trial whose file is missing or damaged."""
    sizes = _sizes(folder)
    sentences = []
    for trial in trials:
        state = _state(trial, sizes)
        if state is ArtefactState.MISSING:
            sentences.append(f"the file of trial {trial.number}, {folder.name}/{trial.artefact}, is missing")
        elif state is ArtefactState.DAMAGED:
            found, recorded = _size(trial, sizes), trial.value("size_bytes")
            damage = f"is damaged: it holds {found} bytes, recorded were {recorded:.0f}"
            sentences.append(f"the file of trial {trial.number}, {folder.name}/{trial.artefact}, {damage}")
    return sentences


def _state(trial: Trial, sizes: dict[str, int]) -> ArtefactState:
    if trial.artefact is None:
        return ArtefactState.NONE
    if trial.artefact not in sizes:
        return ArtefactState.ELSEWHERE if FILES in trial.details else ArtefactState.MISSING
    is_whole = "size_bytes" not in trial.scores or _size(trial, sizes) == trial.value("size_bytes")
    return ArtefactState.WHOLE if is_whole else ArtefactState.DAMAGED


def _size(trial: Trial, sizes: dict[str, int]) -> int:
    """As `size_score` counts it: with the weights that lie beside a very large network."""
    name = trial.artefact or ""
    return sizes[name] + sizes.get(external_data(Path(name)).name, 0)


def _sizes(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
