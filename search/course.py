"""One search under way: what all of its phases share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .budget import Budget
from .clock import ENDED, SLOTS
from .goals import Goals
from .record import Record
from .rungs import Rungs
from .status import Reporter
from .trial import Trial


@dataclass(frozen=True, slots=True)
class Course:
    """One search under way.

    Attributes:
        record: Where ended trials go.
        goals: What is searched for.
        rungs: The sizes.
        budget: What is left.
        reporter: Tells the display.
    """

    record: Record
    goals: Goals
    rungs: Rungs
    budget: Budget
    reporter: Reporter

    @property
    def trials(self) -> Sequence[Trial]:
        """Of the record, this moment."""
        return self.record.trials

    def add(self, trial: Trial, began_s: float | None = None) -> Trial:
        """Records an ended trial, with the time that the run had taken by then; nothing is lost after that.

        Args:
            trial: It.
            began_s: What the run had spent when it began; None where nothing ran beside it.
        """
        spent = self.budget.spent()
        ended: dict[str, Any] = {"wall_s": round(spent.wall_s, 3), "cpu_s": round(spent.cpu_s, 3)}
        if self.budget.n_slots > 1:
            ended[SLOTS] = self.budget.n_slots
        stamped = replace(trial, details={**trial.details, ENDED: ended})
        self.record.add(stamped)
        self.budget.note_end(began_s)
        return stamped

    def report(self, phase: str, n_done: int, n_total: int, *, is_searching: bool) -> None:
        """Tells the display about the trial that was added last."""
        self.reporter.report(phase, n_done, n_total, self.trials, self.budget.forecast(is_searching=is_searching))
