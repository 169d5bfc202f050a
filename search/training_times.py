"""How long the short fine-tune of a candidate will take, by what it computes for a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import fmean

from ..evaluators.evaluator import Score
from .trial import Fidelity, Trial

N_LATEST = 64
USUAL_POWER = 0.5
"""Seconds grow about as this power of the MACs where networks are small: their layers keep no processor busy. It is
what is believed before more is seen."""
DRAWN = 0.16
"""Variance of the logarithm of the MACs that is needed before what was seen counts as much as the usual power."""


class TrainingTimes:
    """Learns from the trials of a record."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        """Follows a record.

        Args:
            trials: The caller appends to it, and changes nothing else.
        """
        self._trials = trials

    def expected_s(self, scores: Mapping[str, Score]) -> float | None:
        """Seconds of training, by the latest candidates that were trained; None where none was.

        Args:
            scores: Structural scores of the candidate; without its MACs it takes as long as the others on average.
        """
        latest_first = (self._trials[k] for k in range(len(self._trials) - 1, 0, -1))
        trained = (t for t in latest_first if t.fidelity is Fidelity.SHORT and trained_s(t) > 0)
        seen = [(trained_s(trial), trial.scores) for trial in islice(trained, N_LATEST)]
        if not seen:
            return None
        if "macs" not in scores or not all("macs" in each for _, each in seen):
            return fmean(seconds for seconds, _ in seen)
        sizes = [math.log(max(1.0, each["macs"].value)) for _, each in seen]
        times = [math.log(seconds) for seconds, _ in seen]
        size, time = fmean(sizes), fmean(times)
        common = sum((x - size) * (y - time) for x, y in zip(sizes, times, strict=True))
        power = (DRAWN * USUAL_POWER + common) / (DRAWN + sum((x - size) ** 2 for x in sizes))
        return math.exp(time + power * (math.log(max(1.0, scores["macs"].value)) - size))


def trained_s(trial: Trial) -> float:
    """Seconds that a trial was trained."""
    return trial.seconds.get("train", 0.0)
