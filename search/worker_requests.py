"""What each worker asks of Ray, and how many of them find a place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .workers import Workers

_GB = 1e9


def ray_requests(workers: Workers) -> dict[str, Any]:
    """The cores, GPUs and memory of one worker, as options of its actor."""
    asked: dict[str, Any] = {"num_cpus": workers.n_threads, "num_gpus": workers.n_gpus}
    return asked if workers.memory_bytes is None else {**asked, "memory": workers.memory_bytes}


def n_places(offered: Mapping[str, float], workers: Workers) -> int:
    """The workers that find a place on one node.

    Args:
        offered: The node's resources, as Ray lists them.
        workers: What each asks for.
    """
    places = [math.floor(offered.get("CPU", 0) / workers.n_threads)]
    if workers.n_gpus >= 1:
        places.append(math.floor(offered.get("GPU", 0) / workers.n_gpus))
    elif workers.n_gpus > 0:
        # What is left of one GPU and what is left of another make none.
        places.append(math.floor(offered.get("GPU", 0)) * math.floor(1 / workers.n_gpus))
    if workers.memory_bytes is not None:
        places.append(math.floor(offered.get("memory", 0) / workers.memory_bytes))
    return min(places)


def requests_in_words(workers: Workers) -> str:
    """What each worker asks for, such as `2 cores, 0.5 GPUs and 4 GB` (of memory)."""
    words = ["1 core" if workers.n_threads == 1 else f"{workers.n_threads} cores"]
    if workers.n_gpus > 0:
        words.append(f"{workers.n_gpus:g} GPUs")
    if workers.memory_bytes is not None:
        words.append(f"{workers.memory_bytes / _GB:.3g} GB")
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
