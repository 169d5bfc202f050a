"""A network measured against itself (A/A) for some time: what a difference of nothing looks like on a machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..measuring.bursts import Bursts
from ..measuring.conditions import Conditions
from ..profile import HardwareProfile
from ..transport.transport import Transport

_MOST_PAIRS = 600
"""More say nothing new about a machine, and every two of the measurements cut out of them are compared."""


@dataclass(frozen=True, slots=True)
class SelfPairs:
    """Pairs of bursts of a network against itself, and what went on around them.

    Attributes:
        logs: Natural logarithms of the ratios, in the order of measuring; 0 on a silent machine.
        inference_ms: Median time of one inference, in ms.
        seconds: How long they took, in s.
        foreign_cpu: Fraction of the leased cores' time, during the bursts, that other programs used.
        cores: The leased cores.
        is_realtime: Whether all bursts ran before ordinary programs.
        before: The machine when they began.
        after: The machine when they ended.
    """

    logs: tuple[float, ...]
    inference_ms: float
    seconds: float
    foreign_cpu: float
    cores: tuple[int, ...]
    is_realtime: bool
    before: Conditions
    after: Conditions


def measure_self(
    transport: Transport,
    profile: HardwareProfile,
    names: tuple[str, str],
    seconds: float,
    progress: Callable[[int, int], None],
) -> SelfPairs:
    """Runs bursts of two copies of a network in turn, as the meter does, for so long.

    Args:
        transport: To where the measuring happens.
        profile: How to measure.
        names: What the worker calls the two copies.
        seconds: How long, in s; at least the protocol's `min_pairs` are run.
        progress: Told how many seconds of how many have passed.

    Raises:
        MeasurementError: The copies cannot be run, or the cores did not become free.
    """
    protocol = profile.protocol
    before = read_remote_conditions(transport)
    bursts = Bursts(transport, profile, names, protocol)
    logs: list[float] = []
    times_ms: list[float] = []
    started = now = time.monotonic()
    while len(logs) < protocol.min_pairs or (now - started < seconds and len(logs) < _MOST_PAIRS):
        if logs and len(logs) % protocol.pairs_per_load == 0:
            bursts.reload()
        first_ms, second_ms = bursts.turn(is_swapped=len(logs) % 2 == 1)
        logs.append(math.log(first_ms / second_ms))
        times_ms += (first_ms, second_ms)
        now = time.monotonic()
        progress(min(round(now - started), round(seconds)), round(seconds))
    bursts.end()
    return SelfPairs(
        logs=tuple(logs),
        inference_ms=statistics.median(times_ms),
        seconds=now - started,
        foreign_cpu=bursts.foreign_cpu,
        cores=bursts.cores,
        is_realtime=bursts.is_realtime,
        before=before,
        after=read_remote_conditions(transport),
    )


def read_remote_conditions(transport: Transport) -> Conditions:
    """The conditions of the machine that a transport leads to."""
    return Conditions.from_json(transport.request({"type": "conditions"})["conditions"])
