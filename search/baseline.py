"""The uncompressed network's own two trials: what all others are compared with."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..evaluators import Evaluation, Workbench
from ..evaluators.evaluator import Score
from ..hardware_profiles.errors import SearchError
from ..spaces import Configuration
from .ended import as_trial
from .feasibility import check_accuracy_limit, check_measured, check_structural_limits
from .goals import Goals
from .proposal import Proposal
from .record import Record
from .reuse import MEMORY, NOTHING, Reuse
from .run_directory import RunDirectory
from .trial import Fidelity, State, Trial

N_BASELINE_TRIALS = 2


def baseline_trials(
    workbench: Workbench, record: Record, directory: RunDirectory, goals: Goals, reuse: Reuse = NOTHING
) -> list[Trial]:
    """Sets the workbench's reference; gives what the record lacks of trials 0 and 1.

    Trial 0 is the baseline as it came, trial 1 the same given the full fine-tune; drops refer to the better one.

    Args:
        workbench: Evaluates it.
        record: Of the run.
        directory: Of the run.
        goals: What is searched for; checked against the baseline before anything is trained.
        reuse: What is taken from an earlier run: its baseline too, where all scores hold.

    Raises:
        SearchError: The baseline is not usable, its results are lost, or the goals cannot be reached.
    """
    memory = directory.artefacts / MEMORY
    known = record.trials[:N_BASELINE_TRIALS]
    if len(known) == N_BASELINE_TRIALS or reuse.baseline:
        remember(workbench, directory.artefacts)
        missing = list(reuse.baseline[len(known) :])
        if missing:
            _check(goals, workbench, reuse.baseline[0].scores)
        return missing
    anchors = workbench.anchor()
    plain = workbench.baseline("baseline")
    usable, reached = workbench.task.usable_accuracy, plain.scores["accuracy"].value
    if reached < usable:
        raise SearchError(
            f"the baseline's accuracy must be at least {usable:g} %, got {reached:.1f} %: train it better, or lower "
            "the task's usable_accuracy"
        )
    _check(goals, workbench, plain.scores)
    tuned = workbench.full(Configuration(), "baseline-tuned")
    better = max((plain, tuned), key=lambda evaluation: evaluation.scores["accuracy"].value)
    assert better.samples is not None
    assert better.test_samples is not None
    workbench.set_reference(better.samples, better.test_samples)
    np.savez(memory, samples=better.samples, test_samples=better.test_samples, anchors_ms=json.dumps(anchors))
    trials = [
        _trial(0, workbench.with_drops(plain), "baseline", Fidelity.SHORT),
        _trial(1, workbench.with_drops(tuned), "baseline, full fine-tune", Fidelity.FULL),
    ]
    return trials[len(record.trials) :]  # a kill between the two leaves the first one


def remember(workbench: Workbench, artefacts: Path, *, is_exported: bool = False) -> None:
    """Sets the reference and the anchors to what they were when the run began.

    Args:
        workbench: Whose.
        artefacts: The run's directory of files.
        is_exported: Whether the references' files are there already, and perhaps in use.

    Raises:
        SearchError: The baseline's results are lost or damaged.
    """
    memory = artefacts / MEMORY
    if not memory.is_file():
        raise SearchError(
            f"the baseline's results must stay with the run, but {memory} is gone: restore it or choose another --out"
        )
    try:
        # Opened here: of half an archive NumPy leaves the file open.
        with memory.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            samples, test_samples = saved["samples"], saved["test_samples"]
            anchors_ms: dict[str, float] = json.loads(str(saved["anchors_ms"]))
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise SearchError(
            f"the baseline's results must stay with the run, but {memory} cannot be read ({error}): restore it or "
            "choose another --out"
        ) from error
    workbench.set_reference(samples, test_samples)
    workbench.anchor(anchors_ms, is_exported=is_exported)


def _trial(number: int, evaluation: Evaluation, origin: str, fidelity: Fidelity) -> Trial:
    proposal = Proposal(Configuration(), origin)
    return as_trial(number, proposal, State.COMPLETE, fidelity, evaluation, reason=evaluation.reason)


def _check(goals: Goals, workbench: Workbench, scores: Mapping[str, Score]) -> None:
    check_measured(goals, scores)
    check_accuracy_limit(goals, scores["accuracy"].value)
    check_structural_limits(goals, workbench, scores)
