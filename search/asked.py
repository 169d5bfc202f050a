"""What was asked of a search, flag by flag, with what nobody said: the resolved configuration of a run."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

from ..hardware_profiles import HardwareProfile
from ..tasks import Task
from .settings import SearchSettings
from .workers import Workers

VERSIONED = (
    "parefront",
    "numpy",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "ray",
    "scikit-learn",
    "torch",
    "torchvision",
)
"""The packages that a run's figures may depend on."""


def asked_facts(
    task: Task, profiles: Sequence[HardwareProfile], settings: SearchSettings, workers: Workers | None
) -> dict[str, Any]:
    """For the manifest: `asked`, the flags of `parefront search` by name, and `versions`, which the figures depend on.

    A flag is None where there is no limit or nothing was named.

    Args:
        task: What is compressed.
        profiles: The main hardware profile first.
        settings: What is asked of the search.
        workers: What is asked of the workers; None where there are none.
    """
    return {"asked": _flags(task, profiles, settings, workers), "versions": _versions()}


def _flags(
    task: Task, profiles: Sequence[HardwareProfile], settings: SearchSettings, workers: Workers | None
) -> dict[str, Any]:
    goals, limits, options = settings.goals, settings.limits, settings.options
    return {
        "task": task.name if workers is None else workers.task_name,
        "hardware": [profile.name for profile in profiles],
        "trials": settings.n_trials,
        "finals": settings.n_final,
        "seed": settings.seed,
        "sampler": settings.sampler,
        "shorts": settings.n_short,
        "promotion": settings.promotion,
        "objective": list(goals.objectives.names),
        "constraint": [limit.text for limit in goals.constraints],
        "max-time": _seconds(limits.max_wall_s),
        "max-cpu": _seconds(limits.max_cpu_s),
        "patience": limits.patience,
        "remeasure": settings.n_repeats,
        "from": None if settings.earlier is None else str(settings.earlier),
        "table-time": _seconds(settings.table_seconds or None),
        "stored-tables": settings.has_stored_tables,
        "inherit": settings.inheritance.value,
        "workers": 0 if workers is None else workers.n_workers,
        "address": None if workers is None else workers.address,
        "trial-timeout": None if workers is None else _seconds(workers.max_job_s),
        "importance": options.importance,
        "calibration": options.ranges,
        "bias-correction": options.has_bias_correction,
        "cp": options.has_cp,
        "operators": options.has_operators,
        "only": list(options.only),
    }


def _versions() -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    versions = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:g}s"
