"""What a search takes from an earlier run: fixed when it begins, and kept with it from then on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import SearchError
from ..hardware_profiles.runtimes.runtime import external_data
from .run_directory import RunDirectory
from .trial import Fidelity, Trial

FILE = "reuse.json"
MEMORY = "baseline.npz"
"""The baseline's results per sample and its anchored times, among a run's artefacts."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """What is taken from an earlier run.

    Attributes:
        source: Name of its directory; empty where there is none.
        trials: With the numbers they had, in the order in which they are taken.
        baseline: Its trials 0 and 1, where they serve as this run's; empty where these are made anew.
        has_accuracy: Whether accuracies hold; if not, configurations are merely proposed first.
        has_latency: Whether all scores hold, as the machines and their settings are the same.
        best_accuracy: Of its two baselines, in %: what its drops refer to.
        notes: What was left, and why.
    """

    source: str = ""
    trials: tuple[Trial, ...] = ()
    baseline: tuple[Trial, ...] = ()
    has_accuracy: bool = False
    has_latency: bool = False
    best_accuracy: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people."""
        how = "their accuracies hold, what they take is measured again"
        if self.has_latency:
            how = "all their scores hold"
        elif not self.has_accuracy:
            how = "proposed first"
        noun = "trial" if len(self.trials) == 1 else "trials"
        return "; ".join([f"from {self.source}: {len(self.trials)} {noun}, {how}", *self.notes])

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "source": self.source,
            "trials": [trial.to_json() for trial in self.trials],
            "baseline": [trial.to_json() for trial in self.baseline],
            "has_accuracy": self.has_accuracy,
            "has_latency": self.has_latency,
            "best_accuracy": self.best_accuracy,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reuse:
        """The inverse of `to_json`."""
        trials, baseline = (tuple(Trial.from_json(each) for each in data[name]) for name in ("trials", "baseline"))
        return cls(**{**data, "trials": trials, "baseline": baseline, "notes": tuple(data["notes"])})


NOTHING = Reuse()


def open_reuse(source: Path | None, directory: RunDirectory) -> Reuse | None:
    """What a run that has begun took; None where that is still to be decided.

    Args:
        source: Directory of the earlier run; None where none was named, as a run goes on with what it took.
        directory: Of this run.

    Raises:
        SearchError: This run began otherwise, or what it took cannot be read.
    """
    path = directory.root / FILE
    has_begun = directory.manifest.is_file()
    taken = _read(path) if path.is_file() and has_begun else NOTHING
    if source is None:
        if not has_begun:
            path.unlink(missing_ok=True)  # of a run that never came to its first trial
        return taken
    if has_begun and source.resolve().name != taken.source:
        raise SearchError(
            f"a run takes from an earlier one when it begins, but {directory.root} began "
            f"{f'from {taken.source}' if taken.source else 'without one'}: choose another --out"
        )
    return taken if has_begun else None


def keep_reuse(reuse: Reuse, source: RunDirectory, directory: RunDirectory, suffix: str) -> None:
    """Writes down what a run takes and brings its files along, so that the earlier run is needed no more.

    Args:
        reuse: What is taken.
        source: The earlier run.
        directory: Of this run.
        suffix: Of the files that its main runtime loads: others are of no use.
    """
    directory.artefacts.mkdir(parents=True, exist_ok=True)
    for trial in reuse.trials if reuse.has_accuracy else ():
        target = directory.artefacts / file_name(trial, suffix)
        if trial.artefact is not None and trial.fidelity is not Fidelity.CALIBRATED:
            _take(source.artefacts / trial.artefact, target)
    for trial in reuse.baseline:
        assert trial.artefact is not None, "a baseline trial is complete"
        _take(source.artefacts / trial.artefact, directory.artefacts / trial.artefact)
    if reuse.baseline:
        _take(source.artefacts / MEMORY, directory.artefacts / MEMORY)
    path = directory.root / FILE
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(reuse.to_json()))
    partial.replace(path)


def file_name(trial: Trial, suffix: str) -> str:
    """Name of a trial's file in the run that takes it.

    Args:
        trial: With the number that it had.
        suffix: Of the files that the main runtime loads.
    """
    return f"from-{trial.number}{suffix}"


def _take(source: Path, target: Path) -> None:
    """A second name for a file and for the weights in torch beside it, or a copy where the file system has none.

    Left out is what could not be loaded here: other formats, and files whose weights lie beside them under their name.
    """
    if not source.is_file() or source.suffix != target.suffix or external_data(source).is_file():
        return
    for old, new in ((source, target), (source.with_suffix(".pt"), target.with_suffix(".pt"))):
        if old.is_file():
            new.unlink(missing_ok=True)
            try:
                new.hardlink_to(old)
            except OSError:
                shutil.copy2(old, new)


def _read(path: Path) -> Reuse:
    try:
        return Reuse.from_json(json.loads(path.read_text()))
    except (LookupError, TypeError, ValueError) as error:
        raise SearchError(
            f"a run goes on with what it took from an earlier one, but {path} cannot be read ({error}): restore it or "
            "choose another --out"
        ) from error
