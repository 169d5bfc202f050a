"""Several runs beside each other: what of them compares, and the front of all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..evaluators.evaluator import Score
from ..search.front import complete, front, front_hypervolume
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.trial import Fidelity, Trial
from .load import ResultsError, Run
from .trial_view import word_fidelity

_SAME = {
    "task_key": ("network, data or recipes of the task", "task", "scores"),
    "profile_key": ("hardware profile", "hardware", "latencies"),
    "fingerprint_key": ("machine", "fingerprint_key", "latencies"),
}
"""What must be the same for a front of all: a fact of the manifest, its name, what shows it, and what it decides."""


@dataclass(frozen=True, slots=True)
class SharedMember:
    """A member of the front of all runs.

    Attributes:
        run: Position of its run among those compared.
        trial: As it is recorded in that run.
        accuracy_drop: Points against the best reference of all runs, which may be more than against its own.
        speedup: Over its own run's baseline.
        size_ratio: How many times smaller than that one.
    """

    run: int
    trial: Trial
    accuracy_drop: float
    speedup: float
    size_ratio: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "run": self.run,
            "trial": self.trial.number,
            "accuracy": self.trial.scores["accuracy"].to_json(),
            "accuracy_drop_pt": self.accuracy_drop,
            "latency_ms": self.trial.scores["latency_ms"].to_json(),
            "speedup": self.speedup,
            "size_bytes": int(self.trial.value("size_bytes")),
            "size_ratio": self.size_ratio,
        }


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What `compare` shows.

    Attributes:
        runs: In the order in which they were named.
        obstacles: Why there is no front of all; empty where there is one.
        cautions: What else is not alike.
        fidelity: The training at which they are compared: the most that all have had; None without a front of all.
        goals: The objectives that span the shared box.
        n_members: Of the compressed networks of each run those on its own front, likewise compared.
        hypervolumes: Share of the shared box that each run's networks dominate, 0 to 1; empty without a front of all.
        together: Share that all of them dominate; None without a front of all.
        members: The front of all, from accurate to fast.
    """

    runs: tuple[Run, ...]
    obstacles: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    fidelity: Fidelity | None = None
    goals: Goals = DEFAULT_GOALS
    n_members: tuple[int, ...] = ()
    hypervolumes: tuple[float, ...] = ()
    together: float | None = None
    members: tuple[SharedMember, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "runs": [
                {
                    "directory": str(run.directory),
                    "task": run.manifest.get("task"),
                    "hardware": run.manifest.get("hardware"),
                    "fingerprint": run.manifest.get("fingerprint_key"),
                    "n_trials": len(run.trials),
                    "n_front": self.n_members[i] if self.n_members else None,
                    "n_on_shared_front": sum(member.run == i for member in self.members),
                    "hypervolume": self.hypervolumes[i] if self.hypervolumes else None,
                    "summary": run.summary,
                }
                for i, run in enumerate(self.runs)
            ],
            "is_comparable": not self.obstacles,
            "obstacles": list(self.obstacles),
            "cautions": list(self.cautions),
            "fidelity": None if self.fidelity is None else self.fidelity.value,
            "objectives": list(self.goals.objectives.names),
            "hypervolume_together": self.together,
            "front": [member.to_json() for member in self.members],
        }


def compare(runs: Sequence[Run]) -> RunComparison:
    """Puts runs beside each other; a front of all only where their scores are of the same things.

    Latencies of two runs on one machine still differ by what the machine did between them, so they are compared as
    multiples of each run's own baseline, measured in the same run. Drops refer to the best reference of all runs.

    Args:
        runs: Two or more.

    Raises:
        ResultsError: Fewer than two.
    """
    if len(runs) < 2:
        raise ResultsError(f"a comparison must have at least 2 runs, got {len(runs)}: name another")
    cautions = _version_cautions(runs)
    obstacles = (*_differences(runs), *_not_begun(runs))
    if obstacles:
        return RunComparison(tuple(runs), obstacles, cautions)
    goals, fidelity = _goals(runs), _fidelity(runs)
    if fidelity is None:
        nothing = "no two networks had the same training: let the runs go on"
        return RunComparison(tuple(runs), (nothing,), cautions)
    if len({run.goals for run in runs}) > 1:
        cautions = (*cautions, f"the runs had different goals: compared by {goals.text}, without limits")
    reported = {run.findings.fidelity for run in runs}
    if reported != {fidelity}:
        cautions = (*cautions, f"not all runs have final members: compared {word_fidelity(fidelity)}")
    return _compared(runs, goals, fidelity, cautions)


def _differences(runs: Sequence[Run]) -> tuple[str, ...]:
    """What differs between the runs so that their scores do not compare, in words."""
    found = []
    for fact, (what, shown, decided) in _SAME.items():
        if len({run.manifest.get(fact) for run in runs}) > 1:
            values = dict.fromkeys(str(run.manifest.get(shown)) for run in runs)
            words = _machines(runs) if fact == "fingerprint_key" else ""
            words = words or (", ".join(values) if len(values) > 1 else "")
            named = f" ({words})" if words else ""
            only = f"{decided} compare only as multiples of each run's own baseline"
            found.append(f"the {what} differs{named}: {only}")
    return tuple(found)


def _machines(runs: Sequence[Run]) -> str:
    """Where the machines differ: `n_cores 1, 2; python 3.11.7, 3.12.1`; empty where the manifests do not say."""
    machines = [run.manifest.get("fingerprint") for run in runs]
    fields = dict.fromkeys(field for machine in machines if isinstance(machine, dict) for field in machine)
    found = {
        field: dict.fromkeys(str(machine.get(field)) for machine in machines if isinstance(machine, dict))
        for field in fields
    }
    return "; ".join(f"{field} {', '.join(values)}" for field, values in found.items() if len(values) > 1)


def _not_begun(runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(f"{run.directory} has no baseline yet" for run in runs if run.findings.baseline is None)


def _version_cautions(runs: Sequence[Run]) -> tuple[str, ...]:
    versions = dict.fromkeys(str(run.manifest.get("version")) for run in runs)
    return (f"written by different versions of parefront: {', '.join(versions)}",) if len(versions) > 1 else ()


def _goals(runs: Sequence[Run]) -> Goals:
    """Those of the runs where they are the same, else what every run measures."""
    return runs[0].goals if len({run.goals for run in runs}) == 1 else DEFAULT_GOALS


def _fidelity(runs: Sequence[Run]) -> Fidelity | None:
    """The most training that compressed networks of all runs have had."""
    for fidelity in reversed(Fidelity):
        if all(any(trial.configuration for trial in complete(run.trials, fidelity)) for run in runs):
            return fidelity
    return None


def _compared(runs: Sequence[Run], goals: Goals, fidelity: Fidelity, cautions: tuple[str, ...]) -> RunComparison:
    references = [_reference_accuracy(run) for run in runs]
    first = runs[0].trials[0]
    measured = [axis.score for axis in goals.objectives if axis.quantity.is_measured]
    owners: dict[int, tuple[int, Trial]] = {}
    shared: list[list[Trial]] = []
    for i, run in enumerate(runs):
        lag = max(references) - references[i]
        own = [trial for trial in complete(run.trials, fidelity) if trial.configuration]
        factors = {name: first.value(name) / run.trials[0].value(name) for name in measured}
        numbers = range(len(owners) + 1, len(owners) + 1 + len(own))  # 0 is the baseline
        owners |= {number: (i, trial) for number, trial in zip(numbers, own, strict=True)}
        shared.append([_shared(number, owners[number][1], factors, lag) for number in numbers])
    every = [first, *(trial for trials in shared for trial in trials)]
    return RunComparison(
        tuple(runs),
        (),
        cautions,
        fidelity,
        goals,
        tuple(len(front(trials, fidelity, goals)) for trials in shared),
        tuple(front_hypervolume([first, *trials], fidelity, goals) for trials in shared),
        front_hypervolume(every, fidelity, goals),
        tuple(_member(*owners[trial.number], trial, runs) for trial in front(every[1:], fidelity, goals)),
    )


def _reference_accuracy(run: Run) -> float:
    """What drops of the run refer to, in %: the better of its two baselines."""
    baseline = run.baseline
    return baseline.value("accuracy") + baseline.value("accuracy_drop")


def _shared(number: int, trial: Trial, factors: Mapping[str, float], lag: float) -> Trial:
    """A trial as if it had been measured in the first run.

    Args:
        number: Its number among all.
        trial: As its run recorded it.
        factors: What each measured score is multiplied by.
        lag: Points by which the reference of its run is below the best one.
    """
    scores = {name: _mapped(score, factors.get(name, 1.0), 0.0) for name, score in trial.scores.items()}
    scores["accuracy_drop"] = _mapped(scores["accuracy_drop"], 1.0, lag)
    return replace(trial, number=number, scores=scores, details={})


def _mapped(score: Score, factor: float, shift: float) -> Score:
    low, high = (None if end is None else factor * end + shift for end in (score.low, score.high))
    return replace(score, value=factor * score.value + shift, low=low, high=high)


def _member(run: int, trial: Trial, shared: Trial, runs: Sequence[Run]) -> SharedMember:
    baseline: Mapping[str, Score] = runs[run].baseline.scores
    return SharedMember(
        run,
        trial,
        shared.value("accuracy_drop"),
        baseline["latency_ms"].value / trial.value("latency_ms"),
        baseline["size_bytes"].value / trial.value("size_bytes"),
    )
