"""Opens a sweep's directory: what became of each of its searches, at any moment, from files alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import ParefrontError
from ..search.front import front_hypervolume
from ..search.sweep_directory import SearchState, SweepDirectory
from ..search.sweep_plan import SweepPlan, SweepSearch
from .load import Run, load


@dataclass(frozen=True, slots=True)
class SweptSearch:
    """One search of a sweep, and how far it came.

    Attributes:
        planned: What it is.
        state: What became of it.
        n_begun: How often it was begun.
        run: What it found; None before there is anything.
        error: Why it failed, or cannot be read; else empty.
    """

    planned: SweepSearch
    state: SearchState
    n_begun: int
    run: Run | None
    error: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as its directory shows it.

    Attributes:
        directory: Of the sweep.
        plan: All searches.
        driver: Who runs it, in words; empty where nobody does.
        searches: In the order of the plan.
    """

    directory: SweepDirectory
    plan: SweepPlan
    driver: str
    searches: tuple[SweptSearch, ...]

    def count(self, state: SearchState) -> int:
        """Searches in a state."""
        return sum(each.state is state for each in self.searches)


def load_sweep(root: Path, load_run: Callable[[Path], Run] = load) -> Sweep:
    """Reads a sweep, finished or not.

    Args:
        root: Its directory.
        load_run: Reads a run.

    Raises:
        SearchError: There is no sweep.
    """
    directory = SweepDirectory(root)
    plan, driver = directory.read_plan(), directory.driver()
    searches = tuple(_search(directory, each, bool(driver), load_run) for each in plan.searches)
    return Sweep(directory, plan, driver, searches)


def _search(
    directory: SweepDirectory, planned: SweepSearch, is_driven: bool, load_run: Callable[[Path], Run]
) -> SweptSearch:
    attempts = directory.attempts(planned.name)
    state = directory.state(planned.name, is_driven=is_driven)
    run, error = None, attempts.error
    if directory.run(planned.name).manifest.is_file():
        try:
            run = load_run(directory.run(planned.name).root)
        except ParefrontError as problem:
            error = error or str(problem)
    return SweptSearch(planned, state, attempts.n_begun, run, error)


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One search, ready for a table.

    Attributes:
        name: Of its run directory.
        task: Name of the task.
        hardware: Names of the profiles.
        setting: Name of the set of flags.
        seed: Of proposals and training.
        state: What became of it.
        n_ended: Candidates and final members that were evaluated.
        n_planned: Those that it was asked for.
        hypervolume: Of the reported front, 0 to 1; None before there is one.
        speedup: Of the pick: latency of the baseline over its own; None without a pick, as are the next three.
        size_ratio: Likewise of the sizes.
        accuracy_drop: Percentage points, validation.
        test_drop: Percentage points, test; None before the end too.
        seconds: Wall time so far; None before it is known.
        n_attempts: How often it was begun.
        headline: The run in a sentence; empty before there is one.
        error: Why it failed; else empty.
    """

    name: str
    task: str
    hardware: str
    setting: str
    seed: int
    state: str
    n_ended: int
    n_planned: int
    hypervolume: float | None
    speedup: float | None
    size_ratio: float | None
    accuracy_drop: float | None
    test_drop: float | None
    seconds: float | None
    n_attempts: int
    headline: str
    error: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def sweep_rows(sweep: Sweep) -> list[SweepRow]:
    """All searches, in the order of the plan."""
    return [_row(each) for each in sweep.searches]


def _row(each: SweptSearch) -> SweepRow:
    planned, run = each.planned, each.run
    trials = run.trials if run else ()
    baseline, pick = (run.findings.baseline, run.findings.pick) if run else (None, None)
    values = dict[str, float | None].fromkeys(
        ("hypervolume", "speedup", "size_ratio", "accuracy_drop", "test_drop"), None
    )
    if run is not None and baseline is not None:
        values["hypervolume"] = front_hypervolume(trials, run.findings.fidelity, run.goals)
        if pick is not None:
            values["speedup"] = baseline.value("latency_ms") / pick.value("latency_ms")
            values["size_ratio"] = baseline.value("size_bytes") / pick.value("size_bytes")
            values["accuracy_drop"] = pick.value("accuracy_drop")
            values["test_drop"] = pick.value("test_drop") if "test_drop" in pick.scores else None
    return SweepRow(
        name=planned.name,
        task=planned.task,
        hardware=planned.hardware,
        setting=planned.setting,
        seed=planned.seed,
        state=each.state.value,
        n_ended=sum(1 for trial in trials if trial.configuration and trial.supersedes is None),
        n_planned=planned.n_trials + planned.n_finals,
        **values,
        seconds=run.manifest.get("seconds", {}).get("total") if run else None,
        n_attempts=each.n_begun,
        headline=run.summary if run and baseline is not None else "",
        error=each.error,
    )
