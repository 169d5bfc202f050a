"""What a sweep will take, as far as earlier runs tell: nothing is guessed where none is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..hardware_profiles.errors import ParefrontError
from ..search.sweep_plan import SweepPlan, SweepSearch
from .load import Run, load
from .wording import word_seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an earlier run took for each candidate.

    Attributes:
        source: Its directory.
        task: Name of the task.
        hardware: Names of the profiles, joined as a sweep does.
        seconds: Wall time of the whole run, its baseline included, over its candidates and final members.
        n_ended: Of these; the more, the surer.
    """

    source: Path
    task: str
    hardware: str
    seconds: float
    n_ended: int


def read_paces(folders: Iterable[Path]) -> list[Pace]:
    """The paces of all runs in some folders, the surest first; what is no run, or has no time yet, tells nothing."""
    paces = []
    for manifest in sorted({path for folder in folders for path in folder.glob("*/run.json")}):
        try:
            pace = _pace(load(manifest.parent))
        except ParefrontError:
            continue
        paces += [pace] if pace is not None else []
    return sorted(paces, key=lambda pace: -pace.n_ended)


def _pace(run: Run) -> Pace | None:
    seconds = run.manifest.get("seconds", {}).get("total", 0.0)
    n_ended = sum(1 for trial in run.trials if trial.configuration)
    if not seconds or not n_ended:
        return None
    return Pace(run.directory, str(run.manifest.get("task")), "+".join(run.profiles), seconds / n_ended, n_ended)


def estimated_s(search: SweepSearch, paces: Sequence[Pace]) -> tuple[float | None, str]:
    """What a search will take in s, and how that is known; None where no earlier run tells.

    Args:
        search: Which one.
        paces: Of earlier runs, the surest first.
    """
    fitting = [pace for pace in paces if (pace.task, pace.hardware) == (search.task, search.hardware)]
    if not fitting:
        return None, "unknown until a first run"
    pace = fitting[0]
    words = f"{word_seconds(pace.seconds)} a candidate in {pace.source}"
    return pace.seconds * (search.n_trials + search.n_finals), words


def total_line(plan: SweepPlan, paces: Sequence[Pace]) -> str:
    """What the whole sweep will take, in a sentence."""
    known = [seconds for seconds, _ in (estimated_s(each, paces) for each in plan.searches) if seconds is not None]
    if not known:
        return "Time: unknown until a first run of these tasks on this hardware"
    rest = len(plan.searches) - len(known)
    wall_s = max(sum(known) / plan.concurrency, *known) if len(known) > 1 else known[0]
    beside = f" with {plan.concurrency} side by side" if plan.concurrency > 1 else ""
    unknown = f"; {rest} more unknown until a first run" if rest else ""
    return f"Time: about {word_seconds(wall_s)}{beside}, {word_seconds(sum(known))} of searching{unknown}"
