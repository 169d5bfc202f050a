"""Ray for the time of one search: one of its own on this machine, or a cluster that runs already."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.errors import SearchError
from ..hardware_profiles.transport.connection import split_address
from .worker import WorkerFacts
from .workers import LOCAL, Workers

_STORE_BYTES = 128 * 1024**2
"""Of shared memory for what travels: evaluations are a few kilobytes each."""
_SHARE = 0.001
"""Of a device that a worker asks for: it only says where the worker runs. That two measurements never overlap is for
the lease on the device's cores, which is held while one measures and not while it trains."""
_CONNECT_TIMEOUT_S = 5.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it Ray hides GPUs from whoever did not ask for one, and warns that it will not for long.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def device_resource(profile: str) -> str:
    """The custom resource of the nodes that have the device of a hardware profile."""
    return f"device:{profile}"


@contextlib.contextmanager
def connected(workers: Workers, profiles: Sequence[HardwareProfile]) -> Iterator[None]:
    """Starts Ray or connects to it, and leaves it as it was, however the search ends.

    Args:
        workers: How many, and where.
        profiles: What is measured on.

    Raises:
        SearchError: The cluster cannot be reached, differs in version, or lacks what the workers need.
    """
    import ray

    try:
        _initialise(workers, profiles)
        check_room(ray.nodes(), workers, profiles)  # type: ignore[no-untyped-call]  # Ray left it out.
        yield
    finally:
        ray.shutdown()


def actor_options(workers: Workers, profiles: Sequence[HardwareProfile]) -> dict[str, Any]:
    """What each worker asks of Ray."""
    # Read when torch is imported, which happens in the worker.
    variables = {"OMP_NUM_THREADS": str(workers.n_threads), **_ENVIRONMENT}
    return {
        "num_cpus": workers.n_threads,
        "resources": dict.fromkeys(_devices(profiles), _SHARE),
        "runtime_env": {"env_vars": variables},
    }


def check_room(nodes: Sequence[Mapping[str, Any]], workers: Workers, profiles: Sequence[HardwareProfile]) -> None:
    """Makes sure that all workers find a place, instead of waiting for one for ever.

    Args:
        nodes: As `ray.nodes` lists them.
        workers: How many, and how many cores each takes.
        profiles: What is measured on.

    Raises:
        SearchError: They do not.
    """
    alive = {node["NodeManagerAddress"]: node["Resources"] for node in nodes if node["Alive"]}
    found = "; ".join(f"{name} ({_in_words(offered)})" for name, offered in alive.items())
    fitting = list(alive.values())
    for device in _devices(profiles):
        fitting = [offered for offered in fitting if device in offered]
        if not fitting:
            raise SearchError(
                f"no node offers {device}; nodes and resources are {found}: start Ray on the machine that is measured "
                f"with --resources='{{\"{device}\": 1}}'"
            )
    n_fitting = sum(math.floor(offered.get("CPU", 0) / workers.n_threads) for offered in fitting)
    if n_fitting < workers.n_workers:
        raise SearchError(
            f"{workers.n_workers} workers of {workers.n_threads} cores must find a place, but there is one for "
            f"{n_fitting}; nodes and resources are {found}: use fewer workers"
        )


def check_worker(facts: WorkerFacts, version: str, machines: Mapping[str, str]) -> None:
    """Makes sure that a worker computes what the search would, and measures on the same machine.

    Args:
        facts: What the worker tells.
        version: Of parefront here.
        machines: Keys of the fingerprints of what measures for the search itself, by hardware profile.

    Raises:
        SearchError: It differs.
    """
    if facts.version != version:
        raise SearchError(
            f"all workers must have the search's version of parefront, {version}, but one has {facts.version}: install "
            "the same one everywhere"
        )
    for profile, key in machines.items():
        if facts.machines.get(profile) != key:
            raise SearchError(
                f"all workers must measure {profile} on one machine, but a worker's is another one than the search's: "
                f"offer {device_resource(profile)} on the machine where the search runs only"
            )


def _initialise(workers: Workers, profiles: Sequence[HardwareProfile]) -> None:
    import ray

    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "parefront"}
    try:
        if workers.address == LOCAL:
            ray.init(**common, **_own(workers, profiles))
        else:
            _check_reachable(workers.address)
            ray.init(address=workers.address, **common)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        what = " ".join(str(error).split())[:300]
        raise SearchError(f"Ray at {workers.address} must be usable from this machine, but {what}") from error


def _own(workers: Workers, profiles: Sequence[HardwareProfile]) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": workers.n_workers * workers.n_threads,
        "resources": dict.fromkeys(_devices(profiles), 1.0),
        "object_store_memory": _STORE_BYTES,
        "include_dashboard": False,
        # Workers get as much of the machine as the program that started them.
        "_system_config": {"worker_niceness": 0},
    }


def _devices(profiles: Sequence[HardwareProfile]) -> list[str]:
    """Resources of the devices that a worker must be beside; others are reached over the network from anywhere."""
    return [device_resource(profile.name) for profile in profiles if profile.host.is_local]


def _check_reachable(address: str) -> None:
    # Ray itself tries for a minute.
    if address != "auto":
        socket.create_connection(split_address(address), _CONNECT_TIMEOUT_S).close()


def _in_words(offered: Mapping[str, float]) -> str:
    kinds = {name: n for name, n in offered.items() if name in ("CPU", "GPU") or name.startswith("device:")}
    return ", ".join(f"{name} {n:g}" for name, n in sorted(kinds.items())) or "nothing"
