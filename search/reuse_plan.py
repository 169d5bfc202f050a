"""Which trials of an earlier run serve a new one. Pure but for reading that run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import SearchError
from ..spaces import Configuration, SearchSpace
from .baseline import N_BASELINE_TRIALS
from .front import complete, ranked
from .goals import DEFAULT_GOALS, Goals
from .manifest import MEASURED_ON, NO_OTHERS
from .reuse import MEMORY, Reuse
from .run_directory import RunDirectory
from .storage import read_run
from .trial import Fidelity, State, Trial

_TRAINING = {"version": "another version", "seed": "another seed", "options": "other options of the techniques"}
"""What an accuracy depends on beside the task."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """Under which trials are taken.

    Attributes:
        space: What the new run may choose.
        goals: What it searches for.
        was: What the earlier one searched for.
        lowest: The new run's first fidelity of candidates.
        has_accuracy: Whether accuracies hold.
        has_latency: Whether all scores hold.
        trained: Configurations that had a short fine-tune.
    """

    space: SearchSpace
    goals: Goals
    was: Goals
    lowest: Fidelity
    has_accuracy: bool
    has_latency: bool
    trained: frozenset[Configuration]

    def misfit(self, trial: Trial) -> str:
        """Why a trial is left, empty where it is taken."""
        offered = {site.name: site.choices for site in self.space.sites}
        if any(choice not in offered.get(name, ()) for name, choice in trial.configuration.items()):
            return "choices that cannot be made now"
        if self.space.canonical(trial.configuration) != trial.configuration:
            return "choices that exclude each other now"
        if trial.fidelity is Fidelity.FULL and not self.has_latency:
            return "final members, which are trained and measured anew"
        if trial.state is not State.COMPLETE:
            return "" if self.has_latency and self.goals == self.was else "closed or failed then"
        if trial.fidelity is Fidelity.CALIBRATED and self.lowest is not Fidelity.CALIBRATED:
            return "judged without training only"
        if self.has_latency and self.goals.missing_from(trial.scores):
            return "lacking a score that counts now"
        return ""


def plan_reuse(source: Path, facts: Mapping[str, Any], space: SearchSpace, goals: Goals) -> Reuse:
    """Compares an earlier run with what is searched now.

    Args:
        source: Its directory.
        facts: Of the new run's manifest.
        space: What that may choose.
        goals: What it searches for.

    Raises:
        SearchError: It is no run, or was of another task.
    """
    earlier = RunDirectory(source)
    manifest = earlier.read_manifest()
    if manifest is None:
        raise SearchError(f"--from must be the directory of a run, but {source} has no run.json: check the path")
    if manifest.get("task_key") != facts["task_key"]:
        raise SearchError(
            f"trials carry over where network, data and recipes are the same, but {source} searched "
            f"{manifest.get('task')} with others: leave --from out"
        )
    trials = read_run(earlier, manifest)
    if len(trials) < N_BASELINE_TRIALS:
        raise SearchError(f"--from must be a run with trials, but {source} has none: leave it out")
    differing = [what for name, what in _TRAINING.items() if manifest.get(name) != facts[name]]
    is_same = not differing and all(manifest.get(name, NO_OTHERS) == facts[name] for name in MEASURED_ON)
    terms = _Terms(
        space,
        goals,
        Goals.from_json(manifest["goals"]) if "goals" in manifest else DEFAULT_GOALS,
        Fidelity(facts["lowest_fidelity"]),
        has_accuracy=not differing,
        # Scores are tied to the baseline's anchored times: without these they hold no more.
        has_latency=is_same and (earlier.artefacts / MEMORY).is_file(),
        trained=frozenset(t.configuration for t in complete(trials, Fidelity.SHORT)),
    )
    chosen, left = _chosen(trials, terms)
    best = max(trial.value("accuracy") for trial in trials[:N_BASELINE_TRIALS])
    return Reuse(
        source.resolve().name,
        tuple(chosen),
        tuple(trials[:N_BASELINE_TRIALS]) if terms.has_latency else (),
        terms.has_accuracy,
        terms.has_latency,
        best,
        (*differing, *(f"left {n}: {why}" for why, n in sorted(left.items()))),
    )


def _chosen(trials: Sequence[Trial], terms: _Terms) -> tuple[list[Trial], Counter[str]]:
    """What is taken, in that order, and how many are left for which reason."""
    chosen: list[Trial] = []
    left: Counter[str] = Counter()
    for trial in _in_order(trials, terms):
        why = terms.misfit(trial)
        if why:
            left[why] += 1
        else:
            chosen.append(trial)
    return chosen, left


def _in_order(trials: Sequence[Trial], terms: _Terms) -> Iterator[Trial]:
    """The front first, then by rank, so that a time limit cuts what is worth least; what ended badly; final members.

    Of one configuration the accuracy after most training, and final members beside it. Where no accuracy holds, only
    the front: the others would cost as much as new candidates.
    """
    layers = ranked([t for t in complete(trials, Fidelity.SHORT) if t.configuration], terms.was)
    if not terms.has_accuracy:
        yield from layers[0] if layers else ()
        return
    untrained = [
        t for t in complete(trials, Fidelity.CALIBRATED) if t.configuration and t.configuration not in terms.trained
    ]
    for layer in (*layers, *ranked(untrained, terms.was)):
        yield from layer
    short = [t for t in trials if t.fidelity is not Fidelity.FULL and t.supersedes is None]
    yield from (t for t in short if t.state is not State.COMPLETE and t.configuration not in terms.trained)
    yield from (t for t in trials if t.fidelity is Fidelity.FULL and t.configuration)
