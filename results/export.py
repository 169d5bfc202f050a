"""Hands out one member of a front as a file to deploy, checked again where it arrives."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..hardware_profiles.errors import ProfileError, SearchError
from ..hardware_profiles.runtimes import check_runtime, get_runtime
from ..hardware_profiles.runtimes.runtime import copy_external_data
from ..search.constraints import Constraint, parse_constraints
from ..search.feasibility import reaches
from ..search.objectives import DEFAULT_OBJECTIVES, Objectives
from ..search.trial import Trial
from .goal_words import headline_drop
from .load import ResultsError, Run
from .wording import word_bytes


def export_member(run: Run, pick: str | None, path: Path) -> str:
    """Copies the picked member's artefact and runs the copy in its runtime.

    Args:
        run: The run.
        pick: See `choose`.
        path: The file to write.

    Returns:
        One line that says what was written.

    Raises:
        ResultsError: Nothing matches, or the copy does not behave like the original.
    """
    member = choose(run, pick)
    source = run.artefact(member)
    if source is None:
        raise ResultsError(f"#{member.number} must have its file in {run.artefacts}, but it is gone: search again")
    # Runtimes tell formats by the suffix.
    if path.suffix != source.suffix:
        raise ResultsError(f"the file must end in {source.suffix}, as its runtime wants, got {str(path)!r}: rename it")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{source.suffix}")
    try:
        shutil.copyfile(source, partial)
        copy_external_data(source, path)
        checked = _check_copy(run, source, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    drop, latency = member.value("accuracy_drop"), member.value("latency_ms")
    size = word_bytes(member.value("size_bytes"))
    return f"{path}: #{member.number}, {latency:.3f} ms, {size}, {drop:.2f} pt lost; {checked}"


def choose(run: Run, pick: str | None) -> Trial:
    """The member of the reported front that a person means.

    Args:
        run: The run.
        pick: `knee`, a trial number, limits such as `accuracy_drop<=1pt and size<=2MB` for the member within them that
            has the least main cost (the fastest, as a rule), or None for the accuracy that the headline allows.

    Raises:
        ResultsError: Not understood, or no member matches.
    """
    members = [trial for trial in run.front if trial.configuration]
    if not members:
        raise ResultsError(f"the front must have a compressed member, but has none yet: {run.summary}")
    if pick == "knee":
        return knee(members, run.baseline, run.objectives)
    if pick is not None and pick.isdecimal():
        return _by_number(run, members, int(pick))
    return _within(members, _limits(run, pick), run.objectives.main_cost.score)


def _limits(run: Run, pick: str | None) -> tuple[Constraint, ...]:
    if pick is None:
        return (Constraint("accuracy", headline_drop(run.goals)),)
    if not any(sign in pick for sign in "<>="):
        raise ResultsError(f'--pick must be knee, a trial number or a limit such as "accuracy_drop<=1pt", got {pick!r}')
    try:
        return parse_constraints(pick, run.profiles)
    except SearchError as error:
        raise ResultsError(f"--pick: {error}") from error


def _within(members: Sequence[Trial], limits: Sequence[Constraint], cost: str) -> Trial:
    """The member within all limits that has the least of a score."""
    unknown = [limit for limit in limits if not any(limit.score in trial.scores for trial in members)]
    if unknown:
        raise ResultsError(f"--pick must limit what was measured, but {unknown[0].name} was not: leave it out")
    within = [trial for trial in members if all(limit.is_kept_by(trial) for limit in limits)]
    if within:
        return min(within, key=lambda trial: trial.value(cost))
    asked = " and ".join(limit.text for limit in limits)
    scores = {f"#{t.number}": {name: score.value for name, score in t.scores.items()} for t in members}
    broken = [f"{each.nearest} (by {each.by})" for each in reaches(limits, scores) if not each.can_be_kept]
    nearest = f"the nearest is {' and '.join(broken)}" if broken else "each is kept by some, so relax one of them"
    raise ResultsError(f"no member keeps {asked}: {nearest}")


def knee(members: Sequence[Trial], baseline: Trial, objectives: Objectives = DEFAULT_OBJECTIVES) -> Trial:
    """The member nearest to the ideal corner of the normalised objectives: past it, gains cost more than they bring."""
    points = np.array([objectives.point(trial, baseline) for trial in members])
    spread = np.maximum(points.max(0) - points.min(0), 1e-12)
    distances = np.linalg.norm((points - points.min(0)) / spread, axis=1)
    return members[int(distances.argmin())]


def _by_number(run: Run, members: Sequence[Trial], number: int) -> Trial:
    """Any trial that has a file may be asked for by number; one that failed verification may not."""
    trial = next((t for t in run.trials if t.number == number and t.artefact), None)
    if trial is None:
        known = ", ".join(str(t.number) for t in members)
        raise ResultsError(f"#{number} has no exported file; the front's members are {known}")
    if trial.is_verified is False:
        raise ResultsError(f"#{number} failed its check and is not handed out: {trial.reason}")
    return trial


def _check_copy(run: Run, source: Path, copy: Path) -> str:
    """The copy holds the same bytes and, where its runtime is here, gives finite outputs of the right shape.

    Returns:
        In words, what was checked.
    """
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (source, copy)]
    if digests[0] != digests[1]:
        raise ResultsError(f"the copy must hold what {source} holds, but differs: is the disk full?")
    settings = run.manifest["profile"]["runtime"]
    try:
        check_runtime(settings["name"])
    except ProfileError as error:
        return f"copied, not run here: {error}"
    session = get_runtime(settings["name"]).open_session(copy, settings["threads"])
    shape = [dimension or 1 for dimension in session.input_shape]
    outputs = session.run(np.zeros(shape, np.float32))
    if not math.isfinite(float(np.abs(outputs).sum())):
        raise ResultsError(f"{source} must give finite outputs, but does not: pick another member")
    return "reloaded and checked"
