"""Predicts latencies for screening: the cost tables, corrected by what they got wrong so far. Never a measurement."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Choice, Configuration
from .cost_tables import CostTables, NetworkCost
from .layer_forms import MERGED, PLAIN
from .observation import Observation
from .ridge import Ridge, Vector

MAX_CORRECTION = 0.5
"""Share of the tables' prediction."""
N_TRUSTED = 30
"""After so many observations a prediction of the tables is worth half an observation of what they get wrong in the end:
early errors come from shapes that nobody has seen yet."""
N_COMPARED = 30
"""Latest observations by which it is decided whether the correction is used."""
_BLOCK = 16
_N_TERMS = 7
_FLOAT, _INT8 = 32, 8
_PENALTY = 3.0
"""As if so many candidates had shown that the tables need no correction."""


class LatencyPredictor:
    """Cost tables and a ridge regression on their errors, refitted at every observation.

    The tables know operators one by one; the regression learns what a whole network makes of them, relative to the
    tables' prediction: in general, where anything is in few bits, per share of the time that is spent in int8, in other
    few bits, in merged layers and in factors, and per conversion between precisions. It learns from what the tables
    said before they knew the candidate, as they reproduce what they have seen. While it knows little it corrects
    little, and it is used only while it would clearly have made the latest predictions better.

    Attributes:
        tables: The cost tables, which learn from the same observations.
        n_observed: Candidates that were observed.
    """

    def __init__(self, tables: CostTables) -> None:
        self.tables = tables
        self._ridge = Ridge((_PENALTY,) * _N_TERMS)
        self._coefficients: Vector = np.zeros(_N_TERMS)
        self.n_observed = 0
        self._gains: deque[float] = deque(maxlen=N_COMPARED)
        self._is_correcting = False

    @property
    def is_correcting(self) -> bool:
        """Whether predictions are corrected, rather than the tables' own: only while that has clearly paid."""
        return self._is_correcting

    def observe(
        self,
        choices: Mapping[str, Choice],
        operator_times: Sequence[OperatorTime],
        latency_ms: float,
        size_bytes: float,
    ) -> None:
        """Adds one measured candidate to the tables and to the correction; arguments as of `CostTables.observe`."""
        self.replay([Observation(Configuration.of(choices), tuple(operator_times), latency_ms, size_bytes)])

    def replay(self, observations: Sequence[Observation]) -> None:
        """Adds many at once, as those of earlier searches, in little time.

        The tables are asked about a block of candidates before they see any of them: what they get wrong about shapes
        that they do not know is what the correction learns from.
        """
        for start in range(0, len(observations), _BLOCK):
            block = observations[start : start + _BLOCK]
            if self.n_observed:
                judged = [self._judged(each) for each in block]
                for row, ratio in judged:
                    self._learn(row, ratio)
            for each in block:
                self.tables.observe(each.configuration, each.operator_times, each.latency_ms, each.size_bytes)
            self.n_observed += len(block)

    def _judged(self, observation: Observation) -> tuple[Vector, float]:
        """What the tables' error may depend on, and the measured latency over their prediction."""
        predicted_ms = max(self.tables.latency_ms(observation.configuration), 1e-9)
        return self._row(observation.configuration), observation.latency_ms / predicted_ms

    def _learn(self, row: Vector, ratio: float) -> None:
        self._gains.append((abs(1 - ratio) - abs(self._factor(row) - ratio)) / ratio)
        # Without a true gain the sum is about normal around 0, the root of the sum of squares its deviation.
        self._is_correcting = sum(self._gains) > 2 * math.hypot(*self._gains)
        self._ridge.add(row, _limited(ratio - 1), self.n_observed / (self.n_observed + N_TRUSTED))
        self._coefficients = self._ridge.coefficients()

    def cost(self, choices: Mapping[str, Choice]) -> NetworkCost:
        """What a configuration costs, with the corrected latency."""
        cost = self.tables.cost(choices)
        if not self._is_correcting:
            return cost
        return replace(cost, latency_ms=cost.latency_ms * self._factor(self._row(choices)))

    def latency_ms(self, choices: Mapping[str, Choice]) -> float:
        """Predicted latency of a configuration, in ms."""
        return self.cost(choices).latency_ms

    def _factor(self, row: Vector) -> float:
        return 1 + _limited(float(row @ self._coefficients))

    def _row(self, choices: Mapping[str, Choice]) -> Vector:
        """What the error of the tables may depend on, shape (terms,)."""
        int8 = narrow = merged = factorised = 0.0
        total, n_conversions, has_bits = 1e-9, 0, False
        layers = self.tables.layers(choices)
        for layer in layers:  # once over the layers: this is done for every candidate that is screened
            form, behind, microseconds = layer.form, layer.bits_behind, layer.operator_us
            total += microseconds
            if form.bits != _FLOAT:
                has_bits = True
                int8, narrow = (int8 + microseconds, narrow) if form.bits == _INT8 else (int8, narrow + microseconds)
            if form.kind == MERGED:
                merged += microseconds
            elif form.kind != PLAIN:
                factorised += microseconds
            n_conversions += behind is not None and behind != form.bits
        shares = (int8 / total, narrow / total, merged / total, factorised / total)
        return np.array([1.0, float(has_bits), *shares, n_conversions / max(1, len(layers))])


def precision_class(choices: Mapping[str, Choice]) -> str:
    """What a configuration computes in beside fp32: `fp32`, or for instance `int8`, `bf16 + int8`, `w4`."""
    bits = {choice for site, choice in choices.items() if site.startswith("bits/") and choice != 32}
    return " + ".join(sorted(f"int{choice}" if isinstance(choice, int) else choice for choice in bits)) or "fp32"


def _limited(correction: float) -> float:
    return min(MAX_CORRECTION, max(-MAX_CORRECTION, correction))
