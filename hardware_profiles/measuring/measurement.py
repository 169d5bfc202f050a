"""What a measurement says, and when two of them tell two networks apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

TIE = 0.015
"""Networks whose times differ by less are taken as equally fast, as fraction of the time."""

Verdict = Literal["faster", "slower", "tie", "undecided"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured latency.

    Attributes:
        latency_ms: Time of one inference, in ms.
        low_ms: Lower bound of its 95 % interval, in ms. The interval is that of the ratio: the reference's own time is
            common to all measurements against it and not part of it.
        high_ms: Upper bound, in ms.
        n_pairs: Pairs of bursts it rests on.
        is_converged: Whether the interval is as narrow as was asked for.
        foreign_cpu: Fraction of the leased cores' time, during the bursts, that other processes used.
        steal: Fraction that a hypervisor took for other machines.
        is_realtime: Whether all bursts ran before ordinary programs.
        n_requeues: How often it was repeated because of others.
        quality: "low" where it did not converge or was disturbed to the end.
        reference_ms: The reference's anchored time, in ms.
        reference_drift: The reference's time during this measurement over its anchored time, minus 1.
        batch_size: Samples per inference.
        memory_bytes: What loading the network and its first inference added to the memory of the measuring process, at
            most: the median over its loads; None where the system does not tell.
        energy_mj: Energy per inference of all processor packages, idle power included, in mJ: the centre over the
            bursts; None where the host does not tell.
        memory_low_bytes: The least of the loads. What an allocator takes for one file differs from load to load, and a
            measurement has too few of them for an interval: this is the range that was seen.
        memory_high_bytes: The most of them.
        energy_low_mj: Lower bound of the energy's 95 % interval, in mJ.
        energy_high_mj: Upper bound, in mJ.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    n_pairs: int
    is_converged: bool
    foreign_cpu: float
    steal: float
    is_realtime: bool
    n_requeues: int
    quality: Literal["good", "low"]
    reference_ms: float
    reference_drift: float
    batch_size: int = 1
    memory_bytes: int | None = None
    energy_mj: float | None = None
    memory_low_bytes: int | None = None
    memory_high_bytes: int | None = None
    energy_low_mj: float | None = None
    energy_high_mj: float | None = None

    @property
    def samples_per_s(self) -> float:
        """Throughput: samples of one inference after the other, per second."""
        return 1e3 * self.batch_size / self.latency_ms


def compare(first: Measurement, second: Measurement, tie: float = TIE) -> Verdict:
    """Says whether the first network is faster than the second, both measured against one reference.

    The interval of the difference of the two log-latencies has the half-width ``sqrt(h1² + h2²)``, as errors of
    measurements made one after the other are independent.

    Args:
        first: The one that the verdict is about.
        second: What it is compared with.
        tie: Differences within this fraction are ties.

    Returns:
        "faster" or "slower" where the whole interval lies on one side of zero and the difference is no tie, "tie" where
        the difference certainly is one, "undecided" otherwise.
    """
    difference = math.log(first.latency_ms / second.latency_ms)
    uncertainty = math.hypot(_log_half_width(first), _log_half_width(second))
    if abs(difference) + uncertainty <= tie:
        return "tie"
    if abs(difference) <= max(uncertainty, tie):
        return "undecided"
    return "faster" if difference < 0 else "slower"


def _log_half_width(measurement: Measurement) -> float:
    if not (measurement.low_ms > 0 and math.isfinite(measurement.high_ms)):
        return math.inf
    return math.log(measurement.high_ms / measurement.low_ms) / 2
