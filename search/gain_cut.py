"""Which candidates are not worth their training: those that promise little, now that their structure is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

from ..evaluators.evaluator import Score
from ..spaces import Configuration
from .goals import Goals
from .running_front import RunningHypervolume
from .training_times import TrainingTimes, trained_s
from .trial import Fidelity, State, Trial

LEAST_SHARE = 0.3
"""Of what the latest candidates added per second of training, that one must promise."""
N_LATEST = 8
MAX_IN_A_ROW = 2
"""Candidates closed one after the other: the next is trained, so that predictions which mislead are found out."""


class Forecaster(Protocol):
    """What foretells gains: our own proposer."""

    def expected_gain(self, configuration: Configuration, scores: Mapping[str, Score]) -> float | None:
        """Hypervolume that a candidate with those structural scores promises to add; None where nobody knows."""
        ...


class GainCut:
    """Compares what a candidate promises for the time of its training with what the latest ones added in theirs.

    A candidate is proposed for what it is predicted to be. Measured, it may be slower or larger; and those that the
    search begins with, the uniform ones, are there to teach what layers cost, which takes no training.
    """

    def __init__(self, trials: Sequence[Trial], forecaster: Forecaster, goals: Goals) -> None:
        """Follows a record.

        Args:
            trials: The caller appends to it, and changes nothing else.
            forecaster: Told about the same trials.
            goals: Objectives and limits.
        """
        self._trials, self._forecaster = trials, forecaster
        self._times = TrainingTimes(trials)
        self._volumes = RunningHypervolume(trials, Fidelity.SHORT, goals)

    def reason(self, configuration: Configuration, scores: Mapping[str, Score]) -> str:
        """Why a candidate is closed, in words; empty where it deserves its training.

        Args:
            configuration: It.
            scores: Its structural scores.
        """
        latest_first = range(len(self._trials) - 1, -1, -1)
        ended = list(islice((k for k in latest_first if self._trials[k].is_candidate(Fidelity.SHORT)), N_LATEST))
        if not ended or all(self._trials[k].state is State.DOMINATED for k in ended[:MAX_IN_A_ROW]):
            return ""
        promised = self._forecaster.expected_gain(configuration, scores)
        added = sum(max(0.0, self._volumes.after(k + 1) - self._volumes.after(k)) for k in ended)
        expected_s, spent_s = self._times.expected_s(scores), sum(trained_s(self._trials[k]) for k in ended)
        own, others, share = "", "", 1 / len(ended)
        if expected_s is not None and spent_s > 0:
            own, others, share = f" in {expected_s:.2g} s of training", f" in {spent_s:.3g} s", expected_s / spent_s
        if promised is None or promised >= LEAST_SHARE * share * added:
            return ""
        return (
            f"promises to add {promised:.2g} to the hypervolume{own}, where the last {len(ended)} added {added:.2g}"
            f"{others}"
        )
