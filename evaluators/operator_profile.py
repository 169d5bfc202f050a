"""A runtime's profile of a network, brought to its measured latency and summed by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..hardware_profiles.runtimes import OperatorTime

MIN_OPERATOR_US = 0.3
MAX_PROFILER_US = 3.0
"""What a runtime's profiler may add to one operator; what it takes longer beyond that is the machine's clock rate."""


def times_by_layer(operator_times: Sequence[OperatorTime], latency_us: float) -> dict[str | None, float]:
    """Microseconds by layer, None for all operators that belong to none; their sum is the latency.

    A profiler slows every operator by about the same; what else differs is the speed of the machine at that moment.
    """
    total, n_operators = sum(time.microseconds for time in operator_times), max(1, len(operator_times))
    slowdown = min(MAX_PROFILER_US, max(0.0, (total - latency_us) / n_operators))
    net = [max(MIN_OPERATOR_US, time.microseconds - slowdown) for time in operator_times]
    speed = latency_us / max(MIN_OPERATOR_US, sum(net))
    by_layer: dict[str | None, float] = defaultdict(float)
    for time, microseconds in zip(operator_times, net, strict=True):
        by_layer[time.layer] += microseconds * speed
    return by_layer
