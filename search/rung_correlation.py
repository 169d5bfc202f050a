"""How far the accuracy after little training can be trusted: ranks at one fidelity beside those at the next."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .screening import rank_correlation
from .trial import Fidelity, State, Trial


@dataclass(frozen=True, slots=True)
class RungCorrelation:
    """Accuracy at two fidelities, over the candidates that have both.

    Attributes:
        lower: Name of the one with less training.
        higher: Name of the other.
        n_candidates: Of them, the baseline left out. They were promoted, so they are the better ones of all.
        rank_correlation: Spearman's, -1 to 1; None where fewer than three or all alike.
    """

    lower: str
    higher: str
    n_candidates: int
    rank_correlation: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def rung_correlations(trials: Sequence[Trial]) -> list[RungCorrelation]:
    """Every pair of fidelities that any candidate has both of, from little training to much."""
    found = []
    for lower, higher in itertools.combinations(Fidelity, 2):
        first, second = _accuracies(trials, lower), _accuracies(trials, higher)
        both = [configuration for configuration in first if configuration in second]
        if both:
            rank = rank_correlation([first[each] for each in both], [second[each] for each in both])
            found.append(RungCorrelation(lower.value, higher.value, len(both), rank))
    return found


def _accuracies(trials: Sequence[Trial], fidelity: Fidelity) -> dict[object, float]:
    return {
        trial.configuration: trial.value("accuracy")
        for trial in trials
        if trial.fidelity is fidelity and trial.state is State.COMPLETE and len(trial.configuration) > 0
    }
