"""Latency on the profile's device, each candidate against a reference of its own precision class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..hardware_profiles.meter import Measurement, Meter
from .evaluator import Score

QUICK_MAX_PAIRS = 12
"""Pairs of bursts for a candidate inside the search; final members get the profile's own limit."""
QUICK_HALF_WIDTH = 0.01


@dataclass(frozen=True, slots=True)
class References:
    """The uncompressed network in each precision class: what candidates alternate with.

    Attributes:
        fp32: Its artefact in float.
        int8: Its artefact with every layer in 8 bits.
    """

    fp32: Path
    int8: Path


class LatencyEvaluator:
    """Measures artefacts with a meter, all tied to one anchor: the fp32 baseline's time."""

    def __init__(self, meter: Meter, references: References, known_ms: tuple[float, float] | None = None) -> None:
        """Anchors both references.

        Args:
            meter: On the profile's device.
            references: The uncompressed network per precision class.
            known_ms: Anchored times (fp32, int8) of an earlier session in ms, so that a resumed search compares.
        """
        self._meter = meter
        self.references = references
        if known_ms is None:
            fp32_ms = meter.anchor(references.fp32)
            # The int8 anchor comes from the ratio to the fp32 one, so that a drift between the two cannot enter.
            known_ms = (fp32_ms, meter.measure(references.int8, references.fp32).latency_ms)
        self.anchors_ms = known_ms
        meter.anchor(references.fp32, known_ms[0])
        meter.anchor(references.int8, known_ms[1])

    def measure(self, artefact: Path, *, is_quantized: bool, is_final: bool) -> Measurement:
        """Measures one artefact.

        Args:
            artefact: The file the runtime loads.
            is_quantized: Which reference it alternates with.
            is_final: By the profile's full protocol instead of the quick one.
        """
        reference = self.references.int8 if is_quantized else self.references.fp32
        if is_final:
            return self._meter.measure(artefact, reference)
        return self._meter.measure(artefact, reference, max_pairs=QUICK_MAX_PAIRS, half_width=QUICK_HALF_WIDTH)


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
