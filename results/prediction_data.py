"""Latency as it was predicted when a candidate was proposed, beside the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluators.latency_predictor import precision_class
from ..search.screening import PREDICTED
from ..search.trial import Trial


@dataclass(frozen=True, slots=True)
class PredictionPoint:
    """One candidate.

    Attributes:
        number: Of the trial.
        predicted_ms: By the screening predictor.
        measured_ms: On the main hardware profile.
        precision: What it computes in, such as `int8`.
    """

    number: int
    predicted_ms: float
    measured_ms: float
    precision: str


def prediction_data(trials: Sequence[Trial]) -> tuple[PredictionPoint, ...]:
    """Every candidate that was predicted and then measured; empty where nothing was predicted."""
    return tuple(
        PredictionPoint(
            trial.number,
            float(trial.details[PREDICTED]),
            trial.value("latency_ms"),
            precision_class(trial.configuration),
        )
        for trial in trials
        if trial.parent is None and PREDICTED in trial.details and "latency_ms" in trial.scores
    )
