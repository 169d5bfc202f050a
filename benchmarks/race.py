"""Times of pieces of work that take turns on one core, so that a busy or warming machine meets them all alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from parefront.hardware_profiles.measuring.cores import CoreClock, available_cores, realtime_priority
from parefront.hardware_profiles.measuring.intervals import centre, signed_rank_interval
from parefront.hardware_profiles.measuring.lease import CoreLease

BURST_MS = 40.0


@dataclass(frozen=True)
class Race:
    """Times of contenders that took turns.

    Attributes:
        times_ms: One time per round by contender, each the median of a burst.
        foreign_cpu: Share of the core that others used meanwhile.
    """

    times_ms: Mapping[str, list[float]]
    foreign_cpu: float

    def median_ms(self, name: str) -> float:
        return statistics.median(self.times_ms[name])

    def ratio(self, name: str, other: str) -> tuple[float, float, float]:
        """Central ratio of the time of one over that of the other, with the bounds of its 95 % interval."""
        logs = [math.log(a / b) for a, b in zip(self.times_ms[name], self.times_ms[other], strict=True)]
        low, high = signed_rank_interval(logs)
        return math.exp(centre(logs)), math.exp(low), math.exp(high)


def race(contenders: Mapping[str, Callable[[], object]], rounds: int) -> Race:
    """Times contenders in bursts that alternate, on a leased core, in an order that is reversed each round."""
    n_runs = {name: max(2, math.ceil(BURST_MS / _burst_ms(run, 3))) for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    cores = available_cores()
    wall_s = foreign_s = 0.0
    with CoreLease(cores):
        for position in range(rounds):
            clock = CoreClock(cores)
            for name in reversed(list(contenders)) if position % 2 else contenders:
                with realtime_priority():
                    times[name].append(_burst_ms(contenders[name], n_runs[name]))
            spent = clock.elapsed()
            wall_s, foreign_s = wall_s + spent.wall_s, foreign_s + spent.foreign_s
    return Race(times, max(0.0, foreign_s / wall_s))


def _burst_ms(run: Callable[[], object], n_runs: int) -> float:
    """Median time of one run, in ms; one before them is not counted: another network was in the caches."""
    times = []
    for _ in range(n_runs + 1):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times[1:])


def cpu_seconds(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of works that take turns, after one time that does not count: libraries load, caches fill."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            started = time.process_time()
            work()
            times[name].append(time.process_time() - started)
    return {name: round(statistics.median(values[1:]), 3) for name, values in times.items()}
