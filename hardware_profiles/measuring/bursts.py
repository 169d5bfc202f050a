"""Networks that take turns on a device, a burst of inferences each, and what else happened there meanwhile."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..profile import HardwareProfile, MeterProtocol
from ..transport.messages import Message
from ..transport.transport import Transport

LEASE_TIMEOUT_S = 600.0
REQUEST_TIMEOUT_S = 120.0


class Bursts:
    """Networks loaded on the leased cores of a profile's device; `end` gives the cores back.

    Attributes:
        cores: The leased cores.
        is_realtime: Whether all bursts so far ran before ordinary programs.
    """

    def __init__(
        self, transport: Transport, profile: HardwareProfile, names: Sequence[str], protocol: MeterProtocol
    ) -> None:
        """Takes the cores, loads the networks and runs each for the warm-up.

        Args:
            transport: To where the measuring happens.
            profile: What to measure on.
            names: What the worker calls the networks.
            protocol: How to measure, the profile's own or a quicker one.

        Raises:
            MeasurementError: A network cannot be run, or the cores did not become free.
        """
        self._transport, self._profile, self._names, self._protocol = transport, profile, list(names), protocol
        self._wall_s = self._foreign_s = self._steal_s = 0.0
        self._joules: list[list[float]] = [[] for _ in names]
        self._memory_bytes: list[list[int]] = [[] for _ in names]
        self.is_realtime = True
        self._n_loads = 0
        self.cores: tuple[int, ...] = tuple(self._begin(is_fresh=False)["cores"])

    def reload(self) -> None:
        """Loads all networks again, in the opposite order.

        Where a network comes to lie in memory changes its time a little: of two copies of one network, the one that is
        loaded first was .6 % slower in the long run.
        """
        self._begin(is_fresh=True)

    def turn(self, *, is_swapped: bool) -> list[float]:
        """Runs one burst of each network.

        Args:
            is_swapped: Whether the last one begins, so that what a burst does to the next one cancels out.

        Returns:
            The median time of one inference of each, in ms, in the order of the names. The median and not the mean: an
            interrupt of 5 ms would shift the mean of 20 runs by 12 %.
        """
        order = self._names[::-1] if is_swapped else self._names
        answer = self._transport.request(
            {
                "type": "bursts",
                "order": order,
                "burst_ms": self._protocol.burst_ms,
                "timeout_s": REQUEST_TIMEOUT_S,
            }
        )
        self._wall_s += answer["wall_s"]
        self._foreign_s += answer["foreign_s"]
        self._steal_s += answer["steal_s"]
        self.is_realtime = self.is_realtime and answer["is_realtime"]
        step = -1 if is_swapped else 1
        for spent, joules in zip(self._joules, answer["joules"][::step], strict=True):
            if joules is not None:
                spent.append(joules)
        return [statistics.median(runs_ms) for runs_ms in answer["runs_ms"][::step]]

    def end(self) -> None:
        """Gives the cores back."""
        self._transport.request({"type": "end"})

    @property
    def foreign_cpu(self) -> float:
        """Fraction of the cores' time, during the bursts, that other processes used."""
        return self._share(self._foreign_s)

    @property
    def steal(self) -> float:
        """Fraction of it that a hypervisor took for other machines."""
        return self._share(self._steal_s)

    def joules(self, position: int) -> tuple[float, ...]:
        """Energy per inference of a network, in J, by burst; empty where the host does not tell."""
        return tuple(self._joules[position])

    def memory_bytes(self, position: int) -> tuple[int, ...]:
        """What loading a network and its first inference took, by load; empty where the system does not tell."""
        return tuple(self._memory_bytes[position])

    def _share(self, seconds: float) -> float:
        return min(1.0, max(0.0, seconds / self._wall_s)) if self._wall_s else 0.0

    def _begin(self, *, is_fresh: bool) -> Message:
        step = -1 if self._n_loads % 2 else 1
        self._n_loads += 1
        answer = self._transport.request(
            {
                "type": "begin",
                "runtime": self._profile.runtime.name,
                "threads": self._profile.runtime.threads,
                "batch_size": self._profile.workload.batch_size,
                "paths": self._names[::step],
                "warmup_ms": self._protocol.warmup_ms,
                "is_fresh": is_fresh,
                "lease_timeout_s": LEASE_TIMEOUT_S,
                "timeout_s": LEASE_TIMEOUT_S + REQUEST_TIMEOUT_S,
            }
        )
        for seen, taken in zip(self._memory_bytes, answer["memory_bytes"][::step], strict=True):
            if taken is not None:
                seen.append(taken)
        return answer
