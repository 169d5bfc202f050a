"""Where the seconds of a search went: by what became of the trials, and by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..search.trial import Fidelity, State, Trial
from .load import Run

STAGES = ("train", "measure", "evaluate", "export", "prepare")
"""In the order in which they are stacked; others come after."""
OVERHEAD = "overhead"


@dataclass(frozen=True, slots=True)
class TimeGroup:
    """Trials of one kind.

    Attributes:
        name: What they are, for people.
        n_trials: How many; 0 for what belongs to none.
        seconds: Wall time by stage.
    """

    name: str
    n_trials: int
    seconds: Mapping[str, float]


def time_data(run: Run) -> tuple[TimeGroup, ...]:
    """Groups in the order of the search, those without time left out; the last is all that no trial accounts for."""
    groups: dict[str, list[Trial]] = {}
    for trial in run.trials:
        if not trial.is_reused:
            groups.setdefault(_kind(trial), []).append(trial)
    found = [TimeGroup(name, len(trials), _summed(trials)) for name, trials in groups.items()]
    overhead = (run.manifest.get("seconds") or {}).get(OVERHEAD, 0.0)
    if overhead > 0:
        found.append(TimeGroup("the search itself", 0, {OVERHEAD: overhead}))
    return tuple(group for group in found if sum(group.seconds.values()) > 0)


def _kind(trial: Trial) -> str:
    if trial.state is State.FAILED:
        return "failed"
    if trial.state is State.DOMINATED:
        return "closed early"
    if not trial.configuration:
        return "baseline"
    return "without training" if trial.fidelity is Fidelity.CALIBRATED else f"{trial.fidelity} fine-tune"


def _summed(trials: list[Trial]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for trial in trials:
        for stage, spent in trial.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    names = [*(stage for stage in STAGES if stage in seconds), *sorted(seconds.keys() - set(STAGES))]
    return {name: seconds[name] for name in names}
