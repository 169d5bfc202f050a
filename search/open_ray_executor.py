"""The workers of one search on Ray, wherever they run."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..evaluators import Workbench
from ..hardware_profiles import HardwareProfile
from .cluster_worker import Baggage, ClusterOrder, ClusterWorker
from .deliveries import RunFiles
from .ray_cluster import actor_options, check_worker
from .ray_devices import open_ray_transport
from .ray_executor import RayExecutor
from .settings import SearchSettings
from .workers import LOCAL, BenchOrder, Workers


def open_ray_executor(
    workers: Workers,
    workbench: Workbench,
    artefacts: Path,
    profiles: Sequence[HardwareProfile],
    settings: SearchSettings,
) -> RayExecutor:
    """Starts the workers of a search; Ray is initialised already, and the baseline evaluated.

    Args:
        workers: How many, and where.
        workbench: The search's own: all workers must be like it.
        artefacts: The run's directory of files.
        profiles: Hardware profiles, the main one first.
        settings: Of the search.
    """
    import ray

    order = BenchOrder(
        workers.task_name,
        tuple(profiles),
        artefacts.resolve(),
        settings.seed,
        settings.options,
        settings.inheritance,
        Path.cwd(),
        workers.n_threads,
    )
    version = importlib.metadata.version("parefront")
    machines = {name: machine.key for name, machine in workbench.machines.items()}
    start = functools.partial(
        RayExecutor,
        n_workers=workers.n_workers,
        actor_options=actor_options(workers),
        max_job_s=workers.max_job_s,
        max_memory_bytes=workers.memory_bytes,
        check=lambda facts: check_worker(facts, version, machines),
    )
    if workers.address == LOCAL:
        return start(order)
    order = replace(order, open_transport=open_ray_transport, task_key=workbench.key())
    # Once for all workers, and fetched only by those on machines that do not have the run's directory.
    baggage = ray.put(Baggage.of(workbench, artefacts))
    anywhere = ClusterOrder.of(order, functools.partial(_fetched, baggage))
    return start(anywhere, worker_class=ClusterWorker, files=RunFiles(artefacts))


def _fetched(reference: Any) -> Baggage:
    import ray

    baggage: Baggage = ray.get(reference)
    return baggage
