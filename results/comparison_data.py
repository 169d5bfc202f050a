"""Several fronts beside each other: of runs, or of one network on several hardware profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..search.front import front
from ..search.goals import Goals
from ..search.objectives import Objective, Objectives
from .findings import Findings
from .goal_words import scaled
from .load import ResultsError, Run


@dataclass(frozen=True, slots=True)
class ComparedPoint:
    """One network.

    Attributes:
        number: Of its trial.
        latency_ms: On the series' hardware profile.
        drop: Points of accuracy lost against the series' own baseline.
        speedup: Over the same baseline.
    """

    number: int
    latency_ms: float
    drop: float
    speedup: float


@dataclass(frozen=True, slots=True)
class ComparedFront:
    """One series.

    Attributes:
        name: Of the run or of the hardware profile.
        baseline_ms: Latency of the baseline.
        points: From slow to fast.
    """

    name: str
    baseline_ms: float
    points: tuple[ComparedPoint, ...]


@dataclass(frozen=True, slots=True)
class ComparisonData:
    """All series.

    Attributes:
        fronts: In the order in which they were asked for.
        caution: Why the latencies cannot be compared as they are; empty where they can.
    """

    fronts: tuple[ComparedFront, ...]
    caution: str = ""


def compare_profiles(run: Run) -> ComparisonData:
    """The front of accuracy and latency on each hardware profile of a run; empty where it measured on one only."""
    names = run.profiles if len(run.profiles) > 1 else ()
    axes = [Objective("latency" if i == 0 else f"latency@{name}") for i, name in enumerate(names)]
    fronts = [_front(name, run.findings, axis) for name, axis in zip(names, axes, strict=True)]
    return ComparisonData(tuple(each for each in fronts if each is not None))


def compare_runs(runs: Sequence[Run]) -> ComparisonData:
    """The front of accuracy and latency of each run, on its main hardware profile.

    Raises:
        ResultsError: Fewer than two runs.
    """
    if len(runs) < 2:
        raise ResultsError(f"a comparison needs at least 2 runs, got {len(runs)}: name another")
    folders = [run.directory.name for run in runs]
    names = [str(run.directory) if folders.count(name) > 1 else name for run, name in zip(runs, folders, strict=True)]
    fronts = [_front(name, run.findings, Objective("latency")) for name, run in zip(names, runs, strict=True)]
    return ComparisonData(tuple(each for each in fronts if each is not None), _caution(runs))


def _front(name: str, findings: Findings, latency: Objective) -> ComparedFront | None:
    """None before the baseline was measured there."""
    baseline = findings.baseline
    if baseline is None or latency.score not in baseline.scores:
        return None
    goals = Goals(Objectives((Objective("accuracy"), latency)))
    measured = [trial for trial in findings.trials if latency.score in trial.scores]
    members = [trial for trial in front(measured, findings.fidelity, goals) if trial.configuration]
    base = scaled(baseline.scores[latency.score], latency).value
    points = [
        ComparedPoint(trial.number, value, trial.value("accuracy_drop"), base / value)
        for trial in members
        for value in [trial.value(latency.score)]
    ]
    return ComparedFront(name, base, tuple(points))


def _caution(runs: Sequence[Run]) -> str:
    for key, what in (("task_key", "tasks"), ("hardware", "hardware profiles"), ("fingerprint_key", "machines")):
        if len({run.manifest.get(key) for run in runs}) > 1:
            return f"The runs are of different {what}: compare speed-ups, not milliseconds"
    return ""
