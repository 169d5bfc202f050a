"""Accuracy after little training beside accuracy after more, for the candidates that had both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..search.rung_correlation import rung_correlations
from ..search.trial import Fidelity, State, Trial


@dataclass(frozen=True, slots=True)
class FidelityPairs:
    """Two fidelities.

    Attributes:
        lower: Name of the one with less training.
        higher: Name of the other.
        numbers: Of the trials at the higher one.
        before: Accuracies in % at the lower one.
        after: Accuracies in % at the higher one.
        rank_correlation: Spearman's; None where it says nothing.
    """

    lower: str
    higher: str
    numbers: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    rank_correlation: float | None


def fidelity_data(trials: Sequence[Trial]) -> tuple[FidelityPairs, ...]:
    """Every pair of fidelities that any candidate has both of, from little training to much."""
    ranks = {(each.lower, each.higher): each.rank_correlation for each in rung_correlations(trials)}
    found = []
    for lower, higher in itertools.combinations(Fidelity, 2):
        first, second = _by_configuration(trials, lower), _by_configuration(trials, higher)
        both = [(first[each], trial) for each, trial in second.items() if each in first]
        if both:
            found.append(
                FidelityPairs(
                    lower.value,
                    higher.value,
                    tuple(trial.number for _, trial in both),
                    tuple(trial.value("accuracy") for trial, _ in both),
                    tuple(trial.value("accuracy") for _, trial in both),
                    ranks.get((lower.value, higher.value)),
                )
            )
    return tuple(found)


def _by_configuration(trials: Sequence[Trial], fidelity: Fidelity) -> dict[object, Trial]:
    return {
        trial.configuration: trial
        for trial in trials
        if trial.fidelity is fidelity and trial.state is State.COMPLETE and trial.configuration
    }
