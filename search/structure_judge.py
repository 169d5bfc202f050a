"""Which candidates end before any training is spent on them, by what is known of their structures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ..evaluators import Evaluation
from ..spaces import Configuration
from .front import complete
from .gain_cut import Forecaster, GainCut
from .goals import Goals
from .pareto import dominates
from .running_front import RunningFront
from .trial import Fidelity, State, Trial


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a candidate's structure.

    Attributes:
        state: Failed or dominated where it ends here; None where it deserves an accuracy.
        reason: Why it ends, in words.
        promised: Hypervolume that it is expected to add; None where nobody knows.
    """

    state: State | None = None
    reason: str = ""
    promised: float | None = None


class StructureJudge:
    """Closes what failed, breaks a limit, could not enter the front with the best accuracy seen, or promises little."""

    def __init__(
        self,
        trials: Sequence[Trial],
        front: RunningFront,
        goals: Goals,
        *,
        has_cut: bool,
        forecaster: Forecaster | None = None,
    ) -> None:
        """Follows a record.

        Args:
            trials: The caller appends to it, and changes nothing else.
            front: Of the short trials among them.
            goals: Objectives and limits.
            has_cut: Whether what could not enter the front is closed, or is not likely to.
            forecaster: Says how likely; without one nothing is closed for that.
        """
        self._trials, self._front, self._goals, self._has_cut = trials, front, goals, has_cut
        self._best_drop, self._n_compared = math.inf, 0
        self._gain_cut = GainCut(trials, forecaster, goals) if forecaster is not None and has_cut else None

    def verdict(self, configuration: Configuration, structure: Evaluation) -> Verdict:
        """Whether a candidate ends here.

        Args:
            configuration: It.
            structure: Latency and size, without an accuracy.
        """
        if structure.reason:
            return Verdict(State.FAILED, structure.reason)
        if missing := self._goals.missing_from(structure.scores):
            return Verdict(State.FAILED, f"{', '.join(missing)} was not measured")
        if structure.broken_limit:
            return Verdict(State.DOMINATED, structure.broken_limit)
        lows = {name: score.value if score.low is None else score.low for name, score in structure.scores.items()}
        if broken := self._goals.broken_by(lows):
            return Verdict(State.DOMINATED, broken)
        member = self._dominating(lows) if self._has_cut else None
        if member is not None:
            return Verdict(State.DOMINATED, f"not faster, smaller or possibly more accurate than #{member.number}")
        if self._gain_cut is None:
            return Verdict()
        weighed = self._gain_cut.weigh(configuration, structure.scores)
        return Verdict(State.DOMINATED if weighed.reason else None, weighed.reason, weighed.promised)

    def _dominating(self, lows: Mapping[str, float]) -> Trial | None:
        """The front member that this candidate could not beat even with the best accuracy seen.

        To be more accurate than the baseline adds nothing to the front's box, so that it is not hoped for.

        Args:
            lows: The candidate's structural scores at the lower ends of their intervals.
        """
        hoped, axes = self._least_drop(), self._goals.objectives
        candidate = tuple(hoped if axis.is_accuracy else lows[axis.score] for axis in axes)
        for member in self._front.members:
            held = (member.value(axis.score) for axis in axes)
            if dominates(tuple(max(0.0, each) for each in held), candidate):
                return member
        return None

    def _least_drop(self) -> float:
        """Of all short trials, at least 0; measuring a trial again leaves its accuracy as it was."""
        new = complete(islice(self._trials, self._n_compared, None), Fidelity.SHORT)
        self._n_compared = len(self._trials)
        self._best_drop = min([self._best_drop, *(trial.value("accuracy_drop") for trial in new)])
        return max(0.0, self._best_drop) if self._best_drop < math.inf else 0.0
