"""Where a search stands, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .budget import Forecast
from .ended import describe
from .front import best_of
from .goals import Goals
from .running_front import RunningFront, RunningHypervolume
from .trial import Fidelity, Trial

EARLIER, SEARCH, FINAL_MEMBERS = "earlier run", "search", "final members"
COMMON_DROP = 1.0
"""Points of accuracy that most people would give, where no limit is set."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a search stands, for the display.

    Attributes:
        phase: `earlier run`, `search` or `final members`.
        n_done: Trials ended in this phase.
        n_total: Trials of this phase.
        n_front: Members of the front at the fidelity of the phase.
        hypervolume: Share of the box, 0 to 1.
        best_speedup: Of the trial with the least main cost within `within_pt`: how many times less than the baseline's
            it is; None if there is none.
        eta_s: Seconds left, all phases, by the latest durations; None before enough was timed.
        last: One line about the trial that ended last.
        within_pt: The points of accuracy that may be lost: the limit where there is one, else 1.
        main_cost: The objective that accuracy is given for, `latency` as a rule.
        ends_by: What will end the run as far as can be foreseen: `candidates`, `time limit`, `processor-time limit`.
    """

    phase: str
    n_done: int
    n_total: int
    n_front: int
    hypervolume: float
    best_speedup: float | None
    eta_s: float | None
    last: str = ""
    within_pt: float = COMMON_DROP
    main_cost: str = "latency"
    ends_by: str = "candidates"


OnStatus = Callable[[Status], None]


class Reporter:
    """Tells the display about every ended trial."""

    def __init__(self, on_status: OnStatus, goals: Goals) -> None:
        self._on_status, self._goals = on_status, goals
        self._followed: Sequence[Trial] = ()
        self._fronts: dict[Fidelity, RunningFront] = {}
        self._volumes: dict[Fidelity, RunningHypervolume] = {}

    def report(self, phase: str, n_done: int, n_total: int, trials: Sequence[Trial], forecast: Forecast) -> None:
        """Tells that the last of `trials`, a record that grows, ended; the arguments are those of `Status`."""
        fidelity = Fidelity.FULL if phase == FINAL_MEMBERS else Fidelity.SHORT
        within_pt = COMMON_DROP if self._goals.max_drop is None else self._goals.max_drop
        members, hypervolume = self._front(trials, fidelity)
        best = best_of(members, within_pt, self._goals)
        main_cost = self._goals.objectives.main_cost
        cost = main_cost.score
        self._on_status(
            Status(
                phase,
                n_done,
                n_total,
                n_front=len(members),
                hypervolume=hypervolume,
                best_speedup=trials[0].value(cost) / best.value(cost) if best is not None else None,
                eta_s=forecast.left_s,
                last=describe(trials[-1]),
                within_pt=within_pt,
                main_cost=main_cost.name,
                ends_by=forecast.ends_by,
            )
        )

    def _front(self, trials: Sequence[Trial], fidelity: Fidelity) -> tuple[Sequence[Trial], float]:
        """The front and its hypervolume."""
        if trials is not self._followed:
            self._followed = trials
            self._fronts = {each: RunningFront(trials, each, self._goals) for each in Fidelity}
            self._volumes = {each: RunningHypervolume(trials, each, self._goals) for each in Fidelity}
        return self._fronts[fidelity].members, self._volumes[fidelity].after(len(trials))
