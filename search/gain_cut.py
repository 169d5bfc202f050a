"""Which candidates are not worth their training: those that promise little, now that their structure is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from ..evaluators.evaluator import Score
from ..spaces import Configuration
from .goals import Goals
from .running_front import RunningHypervolume
from .training_times import TrainingTimes, trained_s
from .trial import Fidelity, State, Trial

PROMISED = "promised_gain"
"""Detail of a trial: the hypervolume that it was to add, foretold when its structure had been measured."""
LEAST_SHARE = 0.3
"""Of what the latest candidates promised per second of training. On three searches of 36 candidates that would have
closed what took 39 % of the training and added 10 % of the hypervolume; .2 saves 31 and costs 5 %, .5 saves 56 and
costs 46 % (`benchmarks/gain_cut.py`)."""
N_LATEST = 8
MAX_IN_A_ROW = 2
"""Candidates closed one after the other: the next is trained, so that predictions which mislead are found out."""


class Forecaster(Protocol):
    """What foretells gains: our own proposer."""

    def expected_gain(self, configuration: Configuration, scores: Mapping[str, Score]) -> float | None:
        """Hypervolume that a candidate with those structural scores promises to add; None where nobody knows."""
        ...


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a candidate is worth before its training.

    Attributes:
        promised: Hypervolume that it is expected to add; None where nobody knows.
        reason: Why it is closed, in words; empty where it deserves its training.
    """

    promised: float | None = None
    reason: str = ""


class GainCut:
    """Compares what a candidate promises for the time of its training with what the latest ones promised for theirs.

    Not with what they added: the best of many predictions are mostly too hopeful, all of them alike.

    A candidate is proposed for what it is predicted to be. Measured, it may be slower or larger; and those that the
    search begins with, the uniform ones, are there to teach what layers cost, which takes no training.
    """

    def __init__(
        self, trials: Sequence[Trial], forecaster: Forecaster, goals: Goals, least_share: float = LEAST_SHARE
    ) -> None:
        """Follows a record.

        Args:
            trials: The caller appends to it, and changes nothing else.
            forecaster: Told about the same trials.
            goals: Objectives and limits.
            least_share: See `LEAST_SHARE`.
        """
        self._trials, self._forecaster, self._least_share = trials, forecaster, least_share
        self._times = TrainingTimes(trials)
        self._volumes = RunningHypervolume(trials, Fidelity.SHORT, goals)

    def weigh(self, configuration: Configuration, scores: Mapping[str, Score]) -> Weighed:
        """What a candidate promises, and whether that is enough.

        Args:
            configuration: It.
            scores: Its structural scores.
        """
        promised = self._forecaster.expected_gain(configuration, scores)
        latest_first = range(len(self._trials) - 1, -1, -1)
        ended = list(islice((k for k in latest_first if self._trials[k].is_candidate(Fidelity.SHORT)), N_LATEST))
        is_due = all(self._trials[k].state is State.DOMINATED for k in ended[:MAX_IN_A_ROW])
        if promised is None or is_due:
            return Weighed(promised)
        others = sum(self._promised(k) for k in ended)
        expected_s, spent_s = self._times.expected_s(scores), sum(trained_s(self._trials[k]) for k in ended)
        own_time, their_time, share = "", "", 1 / len(ended)
        if expected_s is not None and spent_s > 0:
            own_time, their_time = f" in {expected_s:.2g} s of training", f" in {spent_s:.3g} s"
            share = expected_s / spent_s
        if promised >= self._least_share * share * others:
            return Weighed(promised)
        own = f"promises to add {promised:.2g} to the hypervolume{own_time}"
        return Weighed(promised, f"{own}, where the last {len(ended)} promised {others:.2g}{their_time}")

    def _promised(self, position: int) -> float:
        """What a trial of the record had promised, if it was trained; where nothing was foretold, what it added."""
        trial = self._trials[position]
        if trial.state is not State.COMPLETE:
            return 0.0
        if PROMISED in trial.details:
            return float(trial.details[PROMISED])
        return max(0.0, self._volumes.after(position + 1) - self._volumes.after(position))
