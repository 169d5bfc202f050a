"""How far predictions of drops can be trusted: what was said of each candidate when it was proposed, beside its drop.

The first few drops say little of what other choices do, but a fit to them does not know how little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from .damage_scales import Array
from .front import complete
from .surrogate import NOISE_PT, DropSurrogate
from .trial import Fidelity, Trial

FORETOLD = "predicted_drop"
"""Detail of a trial: its drop as it was predicted when it was proposed, in points: the mean, and a standard deviation
below and above."""
N_LATEST = 8
N_BELIEVED = 2
"""Predictions that count as having been right before there were any."""


@dataclass(frozen=True, slots=True)
class ForecastAccuracy:
    """How well the drops of candidates were predicted when they were proposed.

    Attributes:
        n_candidates: Those that were trained.
        median_error_pt: Points.
        share_within: Of them, those within a standard deviation of the prediction, the noise of a drop added, 0 to 1.
    """

    n_candidates: int
    median_error_pt: float
    share_within: float


def forecast_accuracy(trials: Sequence[Trial]) -> ForecastAccuracy | None:
    """Over all candidates that had the short fine-tune; None where no drop was foretold.

    Args:
        trials: Of a whole run.
    """
    trained = (trial for trial in complete(trials, Fidelity.SHORT) if FORETOLD in trial.details)
    seen = [(trial.details[FORETOLD], trial.value("accuracy_drop")) for trial in trained]
    if not seen:
        return None
    errors = [abs(drop - mean) for (mean, _, _), drop in seen]
    is_within = [low - NOISE_PT <= drop <= high + NOISE_PT for (_, low, high), drop in seen]
    return ForecastAccuracy(len(seen), median(errors), fmean(is_within))


class DropForecasts:
    """Compares the latest predictions with what was observed."""

    def __init__(self, surrogate: DropSurrogate) -> None:
        """Believes everything until told otherwise.

        Args:
            surrogate: Predicts.
        """
        self._surrogate = surrogate
        self._squares: deque[float] = deque(maxlen=N_LATEST)

    def of(self, mean: float, deviation: float) -> list[float]:
        """What a trial keeps of a prediction on the compressed scale; see `FORETOLD`."""
        points = self._surrogate.expanded(np.array([mean, mean - deviation, mean + deviation]))
        return [round(float(point), 3) for point in points]

    def observe(self, trial: Trial) -> None:
        """Learns from a candidate that was trained; what was not foretold teaches nothing."""
        if FORETOLD not in trial.details:
            return
        points = np.array([*trial.details[FORETOLD], trial.value("accuracy_drop")])
        mean, low, high, found = self._surrogate.compressed(points)
        variance = ((high - low) / 2) ** 2 + NOISE_PT**2
        self._squares.append(float((found - mean) ** 2 / variance))

    def widened(self, deviations: Array) -> Array:
        """Standard deviations as large as the latest errors were, beside what was said of them; never smaller."""
        factor = max(1.0, (N_BELIEVED + sum(self._squares)) / (N_BELIEVED + len(self._squares)))
        return np.sqrt(factor * (deviations**2 + NOISE_PT**2) - NOISE_PT**2)
