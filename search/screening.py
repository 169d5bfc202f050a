"""How well the screening predictor did: what it said before each candidate was measured, beside the measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..evaluators.latency_predictor import precision_class
from .trial import Fidelity, Trial

PREDICTED = "predicted_ms"
"""Detail of a trial: its latency as it was predicted when it was proposed."""
N_LEARNING = 30
"""Candidates that the predictor learns from before its errors count."""
N_LAST = 30


@dataclass(frozen=True, slots=True)
class Agreement:
    """Predictions beside measurements.

    Attributes:
        n_candidates: How many.
        mean_error: Mean of |predicted / measured - 1|.
        rank_correlation: Spearman's, -1 to 1; None where fewer than three or all alike.
    """

    n_candidates: int
    mean_error: float
    rank_correlation: float | None


@dataclass(frozen=True, slots=True)
class ScreeningAccuracy:
    """How well a search was screened.

    Attributes:
        after_learning: Over the candidates after the first 30; None while there are none.
        last: Over the last 30 of all.
        by_class: Over the candidates of `after_learning`, or of `last` while there are none, by precision class.
    """

    after_learning: Agreement | None
    last: Agreement
    by_class: Mapping[str, Agreement]

    @property
    def reported(self) -> Agreement:
        """What stands for the whole search."""
        return self.after_learning or self.last

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def screening_accuracy(trials: Sequence[Trial]) -> ScreeningAccuracy | None:
    """Compares the predictions that were stored with trials with their latencies; None where there are none."""
    told = [
        trial
        for trial in trials
        if trial.parent is None
        and trial.fidelity is not Fidelity.FULL
        and PREDICTED in trial.details
        and "latency_ms" in trial.scores
    ]
    if not told:
        return None
    later = told[N_LEARNING:]
    classes: dict[str, list[Trial]] = {}
    for trial in later or told[-N_LAST:]:
        classes.setdefault(precision_class(trial.configuration), []).append(trial)
    return ScreeningAccuracy(
        _agreement(later) if later else None,
        _agreement(told[-N_LAST:]),
        {name: _agreement(members) for name, members in sorted(classes.items())},
    )


def agreement(predicted: Sequence[float], measured: Sequence[float]) -> Agreement:
    """Compares predictions with measurements above 0, at least one."""
    said, found = np.asarray(predicted), np.asarray(measured)
    return Agreement(len(found), float(np.mean(abs(said / found - 1))), rank_correlation(said.tolist(), found.tolist()))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None where fewer than three pairs, or all alike on one side."""
    import pandas as pd  # Here: searches do without, and importing it takes a while.

    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return float(np.corrcoef(pd.Series(first).rank(), pd.Series(second).rank())[0, 1])


def _agreement(trials: Sequence[Trial]) -> Agreement:
    return agreement([trial.details[PREDICTED] for trial in trials], [trial.value("latency_ms") for trial in trials])
