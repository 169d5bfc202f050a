"""Where a search stands, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ended import describe
from .front import best_within, front, front_hypervolume
from .goals import Goals
from .trial import Fidelity, Trial

SEARCH, FINAL_MEMBERS = "search", "final members"
FINAL_COST = 3.0
"""Search trials that a final member is taken to cost before one was seen."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a search stands, for the display.

    Attributes:
        phase: `search` or `final members`.
        n_done: Trials ended in this phase.
        n_total: Trials of this phase.
        n_front: Members of the front at the fidelity of the phase.
        hypervolume: Share of the box, 0 to 1.
        best_speedup: Of the fastest trial within one point (the smallest, where the search is not for latency); None if
            there is none.
        eta_s: Seconds left, both phases; None before anything was timed.
        last: One line about the trial that ended last.
    """

    phase: str
    n_done: int
    n_total: int
    n_front: int
    hypervolume: float
    best_speedup: float | None
    eta_s: float | None
    last: str = ""


OnStatus = Callable[[Status], None]


class Reporter:
    """Tells the display about every ended trial."""

    def __init__(self, on_status: OnStatus, goals: Goals) -> None:
        self._on_status, self._goals = on_status, goals
        self._seconds = {SEARCH: 0.0, FINAL_MEMBERS: 0.0}
        self._n_timed = {SEARCH: 0, FINAL_MEMBERS: 0}

    def spend(self, phase: str, seconds: float) -> None:
        """Counts wall time of a phase."""
        self._seconds[phase] += seconds

    def report(self, phase: str, n_done: int, n_total: int, n_final: int, trials: Sequence[Trial]) -> None:
        """Tells that the last of `trials` ended; the arguments are those of `Status`."""
        self._n_timed[phase] += 1
        fidelity = Fidelity.SHORT if phase == SEARCH else Fidelity.FULL
        best = best_within(trials, fidelity, 1.0, self._goals)
        cost = self._goals.objectives.main_cost.score
        speedup = trials[0].value(cost) / best.value(cost) if best is not None else None
        self._on_status(
            Status(
                phase,
                n_done,
                n_total,
                len(front(trials, fidelity, self._goals)),
                front_hypervolume(trials, fidelity, self._goals),
                speedup,
                self._eta_s(phase, n_total - n_done, n_final),
                describe(trials[-1]),
            )
        )

    def _eta_s(self, phase: str, n_left: int, n_final: int) -> float | None:
        """Seconds left, by the means of this session."""
        per_trial, per_final = self._mean_s(SEARCH), self._mean_s(FINAL_MEMBERS)
        if per_final is None:
            per_final = None if per_trial is None else FINAL_COST * per_trial
        if per_final is None:
            return None
        if phase == SEARCH:
            return n_left * (per_trial or 0.0) + n_final * per_final
        return n_left * per_final

    def _mean_s(self, phase: str) -> float | None:
        return self._seconds[phase] / self._n_timed[phase] if self._n_timed[phase] else None
