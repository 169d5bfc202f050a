"""What a device tells of an artefact besides its time: how it was executed and measured, what it has room for."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from ..hardware_profiles.measuring.measurement import Measurement
from ..hardware_profiles.precision import PrecisionPlan
from ..hardware_profiles.profile import Limits
from .evaluator import Score

MEMORY_STEP_BYTES = 64 * 1024
"""Memory is told in whole steps of this size: within a step two networks do not differ."""


def memory_score(measured: Measurement) -> Score | None:
    """What loading and one inference take at most; None where the device does not tell.

    What an allocator takes for one and the same file differs from load to load. So the value is the median over a
    measurement's loads, and its ends are the range of them.
    """
    memory, low, high = measured.memory_bytes, measured.memory_low_bytes, measured.memory_high_bytes
    if memory is None or low is None or high is None:
        return None
    # Rounded up, so that a network that fits into memory given back by another does not count as taking none.
    value, least, most = (
        MEMORY_STEP_BYTES * max(1, math.ceil(each / MEMORY_STEP_BYTES)) for each in (memory, low, high)
    )
    return Score("memory_bytes", float(value), "bytes", is_higher_better=False, low=float(least), high=float(most))


def energy_score(measured: Measurement) -> Score | None:
    """Energy of one inference, what the processor takes idling included; None where the device does not tell."""
    energy, low, high = measured.energy_mj, measured.energy_low_mj, measured.energy_high_mj
    # A counter that did not move says that the bursts are too short for it, not that inference is free.
    if energy is None or energy <= 0:
        return None
    is_known = low is not None and high is not None and math.isfinite(high - low)
    return Score(
        "energy_mj",
        energy,
        "mJ",
        is_higher_better=False,
        low=low if is_known else None,
        high=high if is_known else None,
    )


def device_details(plan: PrecisionPlan, misexecuted: Collection[str], measured: Measurement) -> dict[str, Any]:
    """Facts about one measured artefact, for records and for people.

    Args:
        plan: Its precision.
        misexecuted: Layers that were executed in other bits than planned.
        measured: Its measurement.
    """
    kinds = {
        "int8": plan.layers,
        "weight_only": plan.weight_only_layers,
        "half": tuple(plan.halves),
        "sparse": plan.sparse,
    }
    counts: dict[str, Any] = {}
    for kind, layers in kinds.items():
        counts[f"planned_{kind}"] = len(layers)
        counts[f"executed_{kind}"] = len(set(layers).difference(misexecuted))
    told = {"memory_bytes": measured.memory_bytes, "energy_mj": measured.energy_mj}
    return {
        **counts,
        "latency_quality": measured.quality,
        "latency_pairs": measured.n_pairs,
        "foreign_cpu": round(measured.foreign_cpu, 4),
        "steal": round(measured.steal, 4),
        "reference_drift": round(measured.reference_drift, 4),
        "samples_per_s": round(measured.samples_per_s, 3),
        **{name: value for name, value in told.items() if value is not None},
    }


def broken_limit(limits: Limits, size_bytes: float, measured: Measurement) -> str:
    """Says which limit of the device a candidate breaks, in words; empty where it breaks none.

    A limit on memory breaks only where memory was measured. Latency is given the benefit of its interval.
    """
    if limits.max_size_bytes is not None and size_bytes > limits.max_size_bytes:
        return f"its file has {size_bytes:.0f} bytes, the device has room for {limits.max_size_bytes}"
    memory = measured.memory_bytes
    if limits.max_memory_bytes is not None and memory is not None and memory > limits.max_memory_bytes:
        return f"it takes {memory} bytes of memory, the device has {limits.max_memory_bytes}"
    if limits.max_latency_ms is not None and measured.low_ms > limits.max_latency_ms:
        return f"it takes {measured.latency_ms:.4g} ms, the limit is {limits.max_latency_ms:g} ms"
    return ""
