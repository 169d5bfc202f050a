"""Measuring on the nodes of a Ray cluster that offer a profile's device, from whatever node asks.

Each process that measures has a measuring process of its own beside the device, as it has with `parefront-meter
--listen`; what a socket carries there, calls of a Ray actor carry here. Ray places that actor where the resource
`device:PROFILE` is offered, and ends it with the process that asked for it. That one of them measures at a time is for
the lease on the device's cores, which holds for searches on and off the cluster alike.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..hardware_profiles import Fingerprint, HardwareProfile, MeasurementError, Transport, runtime_facts
from ..hardware_profiles.transport.artefact_format import check_format
from ..hardware_profiles.transport.connection import converse
from ..hardware_profiles.transport.line_stream import ConnectionLostError, NoAnswerError
from ..hardware_profiles.transport.relay import Lost, Relay
from ..hardware_profiles.transport.remote_transport import RemoteTransport
from .ray_errors import what_happened

START_S = 60.0
"""What Ray may take to start a process beside the device, in s."""
_SHARE = 0.001
"""Of the device that a process asks for: it only says where that runs."""
_GRACE_S = 5.0
"""For a call to travel, beside what its answer may take, in s."""

_log = logging.getLogger(__name__)


def device_resource(profile: str) -> str:
    """The custom resource of the nodes that have the device of a hardware profile."""
    return f"device:{profile}"


def resources_in_words(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The living nodes and what they offer, as one line.

    Args:
        nodes: As `ray.nodes` lists them.
    """
    alive = [node for node in nodes if node["Alive"]]
    return "; ".join(f"{node['NodeManagerAddress']} ({_in_words(node['Resources'])})" for node in alive)


def no_device(profile: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """Why a profile cannot be measured on, in words; empty where a living node offers its device."""
    device = device_resource(profile)
    if any(node["Alive"] and device in node["Resources"] for node in nodes):
        return ""
    return f"no node offers {device}; nodes and resources are {resources_in_words(nodes)}"


def open_ray_transport(profile: HardwareProfile) -> Transport | None:
    """The way to a profile's device on the cluster, an `OpenTransport`; a profile that names a host keeps that.

    Raises:
        MeasurementError: Its runtime loads files of a format that does not travel.
    """
    if not profile.host.is_local:
        return None
    check_format(runtime_facts(profile.runtime.name).suffix)
    return RayTransport(profile)


class RayTransport(RemoteTransport):
    """A measuring process on a node that offers the device; after it was lost, another one on such a node."""

    def __init__(self, profile: HardwareProfile, sleep: Callable[[float], None] = time.sleep) -> None:
        """Describes it; nothing is started before the first request.

        Args:
            profile: What is measured on.
            sleep: Waits so many seconds.
        """
        super().__init__(device_resource(profile.name), self._connect_checked, sleep)
        self._profile = profile
        self._machine: str | None = None

    def _connect_checked(self) -> RayConnection:
        connection = RayConnection(self._profile.name)
        try:
            self._check(connection)
        except NoAnswerError:
            connection.close()
            raise ConnectionLostError(f"nothing was started there within {START_S:g} s") from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _on_wait(self, reason: str) -> None:
        # The workers of a search wait for each other: nothing to warn of.
        _log.debug("%s is not ready yet: %s", device_resource(self._profile.name), reason)

    def _check(self, connection: RayConnection) -> None:
        """Makes sure that what answers is of our version, and still the machine that it was before.

        Raises:
            MeasurementError: It is not.
        """
        device, version = device_resource(self._profile.name), importlib.metadata.version("parefront")
        hello = converse(connection, {"type": "hello", "timeout_s": START_S}, self._on_wait)
        if hello["version"] != version:
            raise MeasurementError(
                f"{device} must have the search's version of parefront, {version}, but has {hello['version']}: install "
                "the same one everywhere"
            )
        told = converse(connection, {"type": "describe", "runtime": self._profile.runtime.name}, self._on_wait)
        machine = Fingerprint.from_json(told["fingerprint"])
        if self._machine not in (None, machine.key):
            raise MeasurementError(
                f"{device} must stay the machine {self._machine}, as times of different machines do not compare, but "
                f"is now {machine.key} ({machine.cpu_model}): offer it where it was"
            )
        self._machine = machine.key


class RayConnection:
    """A measuring process beside a device, started by a Ray actor of its own. It is its own stream."""

    def __init__(self, profile: str) -> None:
        """Has it started, without waiting for it.

        Raises:
            ConnectionLostError: No node offers the device now.
        """
        import ray

        if reason := no_device(profile, ray.nodes()):  # type: ignore[no-untyped-call]  # Ray left it out.
            raise ConnectionLostError(reason)
        options = {"num_cpus": 0, "resources": {device_resource(profile): _SHARE}, "max_restarts": 0}
        # Ray has no types for what it makes of a class, nor for what such an actor's methods promise.
        self._relay: Any = ray.remote(Relay).options(**options).remote()
        self._line = b""

    @property
    def stream(self) -> RayConnection:
        """See `Connection`."""
        return self

    def send(self, line: bytes, deadline: float | None) -> None:
        """Keeps a line: it goes out with the request for what comes back, in one call."""
        self._line = line

    def receive(self, deadline: float | None) -> bytes:
        """Sends what is to be sent, and waits for the next line.

        Args:
            deadline: By `time.monotonic`, in s.

        Raises:
            ConnectionLostError: The measuring process, its node or the way there is gone.
            NoAnswerError: Nothing came in time.
            MeasurementError: It cannot be started there at all.
        """
        import ray

        assert deadline is not None, "every request has its time"
        line, self._line = self._line, b""
        left_s = max(0.0, deadline - time.monotonic())
        try:
            answer: bytes | Lost | None = ray.get(self._relay.ask.remote(line, left_s), timeout=left_s + _GRACE_S)
        except ray.exceptions.GetTimeoutError:
            raise NoAnswerError from None
        except ray.exceptions.RayTaskError as error:
            raise MeasurementError(
                f"a measuring process must start beside the device, but {what_happened(error.cause)}"
            ) from error
        except ray.exceptions.RayError as error:
            raise ConnectionLostError(what_happened(error)) from error
        if answer is None:
            raise NoAnswerError
        if isinstance(answer, Lost):
            raise ConnectionLostError(answer.reason)
        return answer

    def why_lost(self, seen: str) -> str:
        """See `Connection`."""
        return seen

    def close(self) -> None:
        """See `Connection`; the measuring process ends with its actor."""
        import ray

        if ray.is_initialized():
            ray.kill(self._relay)


def _in_words(offered: Mapping[str, float]) -> str:
    kinds = {name: n for name, n in offered.items() if name in ("CPU", "GPU") or name.startswith("device:")}
    words = [f"{name} {n:g}" for name, n in sorted(kinds.items())]
    words += [f"memory {offered['memory'] / 1e9:.3g} GB"] if "memory" in offered else []
    return ", ".join(words) or "nothing"
