"""Which member of a front a person means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..hardware_profiles.errors import SearchError
from ..search.constraints import Constraint, parse_constraints
from ..search.feasibility import reaches
from ..search.objectives import DEFAULT_OBJECTIVES, Objectives
from ..search.trial import Trial
from .goal_words import headline_drop
from .load import ResultsError, Run

KNEE = "knee"
SUPERLATIVES: Mapping[str, str] = {"fastest": "latency_ms", "smallest": "size_bytes"}
"""The score that the member has least of."""
_WAYS = (
    'knee, fastest, smallest, a trial number, or limits such as "accuracy_drop<=1pt" or "smallest: accuracy_drop<=1pt"'
)


def choose(run: Run, pick: str | None) -> Trial:
    """The member of the reported front that a person means.

    Args:
        run: The run.
        pick: `knee`; a trial number; `fastest` or `smallest`, of all members or, with a colon, of those within limits
            (`smallest: accuracy_drop<=1pt`); limits such as `accuracy_drop<=1pt and size<=2MB` for the member within
            them that has the least main cost (the fastest, as a rule); or None for the accuracy that the headline
            allows.

    Raises:
        ResultsError: Not understood, or no member matches.
    """
    members = [trial for trial in run.front if trial.configuration]
    if not members:
        raise ResultsError(f"the front must have a compressed member, but has none yet: {run.summary}")
    if pick is None:
        return _within(members, (Constraint("accuracy", headline_drop(run.goals)),), run.objectives.main_cost.score)
    word, colon, limits = (part.strip() for part in pick.partition(":"))
    if word in SUPERLATIVES:
        return _within(members, _limits(run, limits) if colon else (), SUPERLATIVES[word])
    if pick == KNEE:
        return knee(members, run.baseline, run.objectives)
    if pick.isdecimal():
        return _by_number(run, members, int(pick))
    return _within(members, _limits(run, pick), run.objectives.main_cost.score)


def knee(members: Sequence[Trial], baseline: Trial, objectives: Objectives = DEFAULT_OBJECTIVES) -> Trial:
    """The member nearest to the ideal corner of the normalised objectives: past it, gains cost more than they bring."""
    points = np.array([objectives.point(trial, baseline) for trial in members])
    spread = np.maximum(points.max(0) - points.min(0), 1e-12)
    distances = np.linalg.norm((points - points.min(0)) / spread, axis=1)
    return members[int(distances.argmin())]


def _limits(run: Run, text: str) -> tuple[Constraint, ...]:
    if not any(sign in text for sign in "<>="):
        raise ResultsError(f"--pick must be {_WAYS}, got {text!r}: write one of these")
    try:
        return parse_constraints(text, run.profiles)
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


def _by_number(run: Run, members: Sequence[Trial], number: int) -> Trial:
    """Any trial that has a file may be asked for by number; one that failed verification may not."""
    trial = next((t for t in run.trials if t.number == number and t.artefact), None)
    if trial is None:
        known = ", ".join(str(t.number) for t in members)
        raise ResultsError(f"#{number} has no exported file; the front's members are {known}")
    if trial.is_verified is False:
        raise ResultsError(f"#{number} failed its check and is not handed out: {trial.reason}")
    return trial
