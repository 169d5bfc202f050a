import os
import time

from parefront.hardware_profiles.measuring.cores import CoreClock, available_cores, realtime_priority


def test_wall_time_counts_every_core() -> None:
    cores = available_cores()
    clock = CoreClock(cores)
    time.sleep(0.02)
    spent = clock.elapsed()

    assert spent.wall_s >= 0.02 * len(cores)
    # At most what passed, and a tick of 10 ms per core.
    assert spent.foreign_s <= spent.wall_s + 0.02 * len(cores)


def test_our_own_time_is_not_foreign() -> None:
    core = available_cores()[:1]
    clock = CoreClock(core)
    start = time.process_time()
    while time.process_time() - start < 0.1:
        pass
    spent = clock.elapsed()

    # What others may have used is the part of the time in which we did not run, if we ran on this core at all.
    assert spent.foreign_s <= spent.wall_s - 0.1 + 0.02


def test_realtime_priority_ends_with_the_block() -> None:
    before = os.sched_getscheduler(0)
    with realtime_priority() as is_realtime:
        during = os.sched_getscheduler(0)
    assert during == (os.SCHED_FIFO if is_realtime else before)
    assert os.sched_getscheduler(0) == before
