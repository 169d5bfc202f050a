"""One method on one surface with one seed, and the journal of all such runs."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.search_quality_surface import Surface
from parefront.search.pareto import Point
from parefront.search.proposal import Proposer
from parefront.search.trial import State, Trial

Make = Callable[[Surface, int], Proposer]
"""(surface, seed) → a proposer that knows nothing of the surface yet."""


@dataclass(frozen=True)
class Run:
    """What a method found, evaluation by evaluation.

    Attributes:
        surface: Name.
        method: Name.
        seed: Of the method.
        points: One per evaluation, in order; None where it failed. The baseline is not among them.
        origins: Why each was proposed.
        ask_cpu_s: CPU seconds of each proposal.
        n_asked: Evaluations that the run was to have; it has fewer where the method gave up or was too slow.
        stopped: Why it has fewer.
        head_start: Evaluations' worth of time that the method spent before the first one, on tables.
        evaluation_s: Mean seconds of an evaluation when it was made.
    """

    surface: str
    method: str
    seed: int
    points: Sequence[Point | None]
    origins: Sequence[str]
    ask_cpu_s: Sequence[float]
    n_asked: int
    stopped: str = ""
    head_start: float = 0.0
    evaluation_s: float = 0.0

    @property
    def key(self) -> tuple[str, str, int]:
        """What names a run."""
        return self.surface, self.method, self.seed

    def is_enough(self, n: int) -> bool:
        """Whether it stands for a run of n evaluations: it has as many, or came to an end before."""
        return self.n_asked >= n or bool(self.stopped)


@dataclass
class Trace:
    """A run while it lasts."""

    trials: list[Trial]
    ask_cpu_s: list[float]
    stopped: str = ""


def run(surface: Surface, make: Make, n: int, seed: int, *, ask_limit_s: float | None = None) -> Trace:
    """Lets a method spend so many evaluations on a surface, one after the other.

    Args:
        surface: Where.
        make: The method, see `search_quality_methods.METHODS`.
        n: Evaluations, the baseline not counted.
        seed: Of the method.
        ask_limit_s: CPU seconds that the mean of its last ten proposals may take before the method is stopped.

    Returns:
        All trials, the baseline first, and the CPU seconds of each proposal.
    """
    proposer = make(surface, seed)
    trace = Trace([surface.baseline], [])
    proposer.tell(surface.baseline)
    while len(trace.trials) <= n:
        started = time.process_time()
        proposals = proposer.ask(1)
        trace.ask_cpu_s.append(round(time.process_time() - started, 4))
        if not proposals:
            trace.stopped = "it proposes nothing more"
            break
        trace.trials.append(surface.trial(len(trace.trials), proposals[0]))
        proposer.tell(trace.trials[-1])
        latest = trace.ask_cpu_s[-10:]
        if ask_limit_s is not None and sum(latest) > ask_limit_s * 10:
            trace.stopped = f"its last 10 proposals took {sum(latest):.0f} s"
            break
    return trace


def as_run(surface: Surface, method: str, n: int, seed: int, trace: Trace, head_start: float = 0.0) -> Run:
    """A trace as it is kept; see `Run` for the head start."""
    candidates = trace.trials[1:]
    seconds = [sum(trial.seconds.values()) for trial in candidates if trial.seconds]
    return Run(
        surface.spec.name,
        method,
        seed,
        [_rounded(surface.point(trial)) if trial.state is State.COMPLETE else None for trial in candidates],
        [trial.origin for trial in candidates],
        trace.ask_cpu_s,
        n,
        trace.stopped,
        head_start,
        evaluation_s=round(sum(seconds) / max(1, len(seconds)), 4),
    )


class Journal:
    """Finished runs, one JSON object a line; the last of a key counts, and what is there is not run again.

    A line may also say that the runs of a method before it are void, because the method has changed since.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def runs(self) -> dict[tuple[str, str, int], Run]:
        """By surface, method and seed."""
        found: dict[tuple[str, str, int], Run] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            try:
                data = json.loads(line)
            except ValueError:  # an empty line, or half a one
                continue
            if "forgotten" in data:
                found = {key: run for key, run in found.items() if run.method not in data["forgotten"]}
                continue
            each = Run(**{**data, "points": [tuple(p) if p else None for p in data["points"]]})
            found[each.key] = each
        return found

    def add(self, finished: Run) -> None:
        """Keeps a run."""
        self._write(asdict(finished))

    def forget(self, methods: Sequence[str]) -> None:
        """Makes the runs of some methods void."""
        self._write({"forgotten": list(methods)})

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The line before may be half a one, of a process that was killed: it must not take this one with it.
            file.write("\n" + json.dumps(line, separators=(",", ":")) + "\n")


def _rounded(point: Point) -> Point:
    return tuple(round(x, 6) for x in point)
