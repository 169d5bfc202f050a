"""Ray for the time of one search: one of its own on this machine, or a cluster that runs already."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.errors import ParefrontError, SearchError
from ..hardware_profiles.measuring.cores import available_cores
from ..hardware_profiles.transport.connection import split_address
from .ray_devices import device_resource, no_device, resources_in_words
from .worker import WorkerFacts
from .worker_requests import n_places, ray_requests, requests_in_words
from .workers import LOCAL, Workers

_STORE_BYTES = 128 * 1024**2
"""Of shared memory for what travels: evaluations are a few kilobytes each."""
_CONNECT_TIMEOUT_S = 5.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it Ray hides GPUs from whoever did not ask for one, and warns that it will not for long.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


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
        # One core for each where more workers are asked for than there are cores; otherwise no more than there are.
        n_cores = max(workers.n_workers, len(available_cores()))
        initialise(workers.address, n_cores, _devices(profiles))
        check_room(ray.nodes(), workers, profiles)  # type: ignore[no-untyped-call]  # Ray left it out.
        yield
    finally:
        ray.shutdown()


def actor_options(workers: Workers) -> dict[str, Any]:
    """What each worker asks of Ray; not for a device, as it has it measured from wherever it is."""
    # Read when torch is imported, which happens in the worker.
    variables = {"OMP_NUM_THREADS": str(workers.n_threads), **_ENVIRONMENT}
    return {
        **ray_requests(workers),
        "runtime_env": {"env_vars": variables},
    }


def check_room(nodes: Sequence[Mapping[str, Any]], workers: Workers, profiles: Sequence[HardwareProfile]) -> None:
    """Makes sure that all workers and devices are to be found, instead of waiting for one for ever.

    Args:
        nodes: As `ray.nodes` lists them.
        workers: How many, and how many cores each takes.
        profiles: What is measured on.

    Raises:
        SearchError: They do not.
    """
    for profile in profiles:
        if profile.host.is_local and (missing := no_device(profile.name, nodes)):
            raise SearchError(
                f"{missing}: start Ray on the machine that is measured with "
                f"--resources='{{\"{device_resource(profile.name)}\": 1}}'"
            )
    found = resources_in_words(nodes)
    n_fitting = sum(n_places(node["Resources"], workers) for node in nodes if node["Alive"])
    if n_fitting < workers.n_workers:
        raise SearchError(
            f"{workers.n_workers} workers of {requests_in_words(workers)} must find a place, but there is one for "
            f"{n_fitting}; nodes and resources are {found}: use fewer workers, or ask for less in the task's resources"
        )


def check_worker(facts: WorkerFacts, version: str, machines: Mapping[str, str]) -> None:
    """Makes sure that a worker computes what the search would, and has it measured on the same machine.

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
                f"offer {device_resource(profile)} on one machine only"
            )


def initialise(address: str, n_cpus: int, devices: Sequence[str]) -> None:
    """Starts a Ray of our own or connects to one; whoever calls this also shuts it down.

    Args:
        address: As in `Workers`.
        n_cpus: Cores that a Ray of our own offers.
        devices: Resources of the devices that it offers.

    Raises:
        SearchError: The cluster cannot be reached, or differs in version.
    """
    import ray

    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "parefront"}
    try:
        if address == LOCAL:
            ray.init(**common, **_own(n_cpus, devices))
        else:
            _check_reachable(address)
            ray.init(address=address, **common)
    except ParefrontError:
        raise
    except Exception as error:  # Ray raises bare exceptions, too.
        what = " ".join(str(error).split())[:300]
        raise SearchError(f"Ray at {address} must be usable from this machine, but {what}") from error


def _own(n_cpus: int, devices: Sequence[str]) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": n_cpus,
        "resources": dict.fromkeys(devices, 1.0),
        "object_store_memory": _STORE_BYTES,
        "include_dashboard": False,
        # Workers get as much of the machine as the program that started them; and on a busy one Ray's own helpers take
        # longer to start than the 30 s after which it gives up.
        "_system_config": {"worker_niceness": 0, "agent_register_timeout_ms": 120_000},
    }


def _devices(profiles: Sequence[HardwareProfile]) -> list[str]:
    """Resources of the devices that nodes must offer; others are reached over the network from anywhere."""
    return [device_resource(profile.name) for profile in profiles if profile.host.is_local]


def _check_reachable(address: str) -> None:
    # Ray itself tries for a minute.
    if address != "auto":
        socket.create_connection(split_address(address), _CONNECT_TIMEOUT_S).close()
