"""What a device tells of an artefact besides its time: how it was executed and measured, what it has room for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..hardware_profiles.measuring.measurement import Measurement
from ..hardware_profiles.precision import PrecisionPlan
from ..hardware_profiles.profile import Limits


def device_details(plan: PrecisionPlan, misexecuted: Collection[str], measured: Measurement) -> dict[str, Any]:
    """Facts about one measured artefact, for records and for people.

    Args:
        plan: Its precision.
        misexecuted: Layers that were executed in other bits than planned.
        measured: Its measurement.
    """
    kinds = {"int8": plan.layers, "weight_only": plan.weight_only_layers, "half": tuple(plan.halves)}
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
