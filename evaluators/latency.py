"""Latency on the profile's device, each candidate against a reference of its own precision class."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..hardware_profiles.measuring.measurement import Measurement
from ..hardware_profiles.measuring.meter import Meter
from ..hardware_profiles.precision import PrecisionPlan
from .evaluator import Score

FLOAT_CLASS = "fp32"
QUICK_MAX_PAIRS = 24
"""Pairs of bursts for a candidate inside the search; final members get the profile's own limit."""
QUICK_HALF_WIDTH = 0.01
REANCHOR_S = 600.0
"""Before a final measurement, ratios between references that are older are measured again, in s."""


def precision_class(plan: PrecisionPlan) -> str:
    """The class of a network: the fewest bits that any layer computes in. A weight-only layer computes in float."""
    if plan.layers:
        return "int8"
    return min(plan.halves.values(), default=FLOAT_CLASS)


class LatencyEvaluator:
    """Measures artefacts with a meter, all tied to one anchor: the uncompressed float network's time.

    Attributes:
        references: Precision class to the artefact of the uncompressed network in it: what candidates alternate with.
        anchors_ms: Precision class to its reference's time, in ms.
    """

    def __init__(
        self,
        meter: Meter,
        references: Mapping[str, Path],
        known_ms: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Anchors the references.

        Args:
            meter: On the profile's device.
            references: See `references`; "fp32" must be there.
            known_ms: Anchored times of an earlier session in ms, so that a resumed search compares.
            clock: Tells the age of the anchors, in s.
        """
        self._meter, self._clock = meter, clock
        self.references = dict(references)
        if known_ms is None:
            self.anchors_ms = {FLOAT_CLASS: meter.anchor(references[FLOAT_CLASS])}
            self._anchor_others()
        else:
            self.anchors_ms = dict(known_ms)
            self._anchored_at: float | None = None
        for name, reference in references.items():
            meter.anchor(reference, self.anchors_ms[name])

    def measure(self, artefact: Path, precision: str, *, is_final: bool) -> Measurement:
        """Measures one artefact.

        Args:
            artefact: The file the runtime loads.
            precision: Its class: it alternates with the reference of that.
            is_final: By the profile's full protocol instead of the quick one.
        """
        reference = self.references[precision]
        if not is_final:
            return self._meter.measure(artefact, reference, max_pairs=QUICK_MAX_PAIRS, half_width=QUICK_HALF_WIDTH)
        # References of different classes drift apart when the machine's clock or neighbours change: final members of
        # different classes are compared by the ratio that holds now.
        if self._anchored_at is None or self._clock() - self._anchored_at > REANCHOR_S:
            self._anchor_others()
        return self._meter.measure(artefact, reference)

    def _anchor_others(self) -> None:
        """Measures the other classes' references against the float one: their anchors are ratios to its."""
        for name, reference in self.references.items():
            if name != FLOAT_CLASS:
                measured = self._meter.measure(reference, self.references[FLOAT_CLASS])
                self.anchors_ms[name] = measured.latency_ms
                self._meter.anchor(reference, measured.latency_ms)
        self._anchored_at = self._clock()


def latency_score(measurement: Measurement) -> Score:
    """A measurement as a score with its interval."""
    return Score(
        "latency_ms",
        measurement.latency_ms,
        "ms",
        is_higher_better=False,
        low=measurement.low_ms,
        high=measurement.high_ms,
    )
