"""What disturbs measuring on a machine, in plain words with a remedy: pure functions of what was observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..measuring.conditions import Conditions

_MUCH_STEAL = 0.01
_MUCH_SIBLING = 0.05
_MUCH_OF_A_CORE = 0.01
_MUCH_PROCESS = 0.10
_N_PROCESSES = 5
_STEADY_GOVERNOR = "performance"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One thing that disturbs, and what helps.

    Attributes:
        what: What was seen, with its figure.
        remedy: What a person can do about it.
    """

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Activity:
    """What went on while cores were measured on, as fractions of time.

    Attributes:
        foreign_cpu: Of the leased cores' time during the bursts, what other programs used.
        steal: Of the leased cores' time, what a hypervisor gave to other machines; None where that is not counted.
        sibling_cpu: Of the time of the cores that share a physical core with a leased one, what they worked; None where
            there are none, or the system does not say.
        processes: The programs that used most processor time on any core, as cores' worth, the greatest first.
        load: Mean number of runnable processes in the minute before the measurement, None where unknown.
    """

    foreign_cpu: float
    steal: float | None
    sibling_cpu: float | None
    processes: Mapping[str, float]
    load: float | None


def activity(before: Conditions, after: Conditions, cores: tuple[int, ...], foreign_cpu: float) -> Activity:
    """Sums up what went on between two moments.

    Args:
        before: The conditions when the measurement began.
        after: Those when it ended.
        cores: The leased cores.
        foreign_cpu: The fraction of their time that others used during the bursts.
    """
    wall_s = max(after.clock_s - before.clock_s, 1e-9)
    groups = after.sibling_groups or ()
    siblings = sorted({core for group in groups if set(group) & set(cores) for core in group} - set(cores))
    return Activity(
        foreign_cpu=foreign_cpu,
        steal=_mean_share(before.steal_s, after.steal_s, cores, wall_s),
        sibling_cpu=_mean_share(before.busy_s, after.busy_s, tuple(siblings), wall_s),
        processes=_busiest(before.process_s, after.process_s, wall_s),
        load=before.load,
    )


def find_disturbances(
    seen: Activity, conditions: Conditions, *, n_cores: int, is_realtime: bool, max_foreign_cpu: float
) -> tuple[Disturbance, ...]:
    """Lists what disturbs, the most likely cause first; empty where nothing known does.

    Args:
        seen: What went on.
        conditions: The machine's settings.
        n_cores: Cores of the machine that measurements may use.
        is_realtime: Whether the bursts ran before ordinary programs.
        max_foreign_cpu: The protocol's limit.
    """
    found = _from_others(seen, n_cores, max_foreign_cpu)
    return (*found, *_from_settings(conditions, is_realtime=is_realtime))


def _from_others(seen: Activity, n_cores: int, max_foreign_cpu: float) -> Iterator[Disturbance]:
    if seen.steal is not None and seen.steal > _MUCH_STEAL:
        yield Disturbance(
            f"the hypervisor gave {seen.steal:.0%} of the leased cores' time to other machines (steal)",
            "measure at another time, or on a machine whose processors are not shared",
        )
    if seen.foreign_cpu > max_foreign_cpu:
        yield Disturbance(
            f"other programs used {seen.foreign_cpu:.0%} of the leased cores' time during the bursts",
            "end what is named below, or keep it off these cores with taskset",
        )
    if seen.sibling_cpu is not None and seen.sibling_cpu > _MUCH_SIBLING:
        yield Disturbance(
            f"the other hardware threads of the leased cores (SMT) were busy {seen.sibling_cpu:.0%} of the time",
            "end what runs there, or switch SMT off: echo off > /sys/devices/system/cpu/smt/control",
        )
    busy = {name: share for name, share in seen.processes.items() if share > _MUCH_PROCESS}
    if busy:
        names = ", ".join(f"{name} ({share:.0%} of a core)" for name, share in busy.items())
        yield Disturbance(
            f"other programs were busy: {names}",
            "end them: even on other cores they share caches, memory and the clock rate with the measurement",
        )
    elif seen.load is not None and seen.load > n_cores:
        yield Disturbance(
            f"the load over the minute before was {seen.load:.1f} on {n_cores} core(s)",
            "wait until whatever ran has ended",
        )


def _from_settings(conditions: Conditions, *, is_realtime: bool) -> Iterator[Disturbance]:
    if not is_realtime:
        yield Disturbance(
            "real-time priority (SCHED_FIFO) is not permitted, so any program may interrupt a burst",
            "run as root, allow rtprio in /etc/security/limits.conf, or give a container the capability SYS_NICE",
        )
    if conditions.governor is not None and conditions.governor != _STEADY_GOVERNOR:
        yield Disturbance(
            f"the clock rate follows the load (governor {conditions.governor})",
            f"hold it: cpupower frequency-set -g {_STEADY_GOVERNOR}",
        )
    if conditions.is_turbo_on:
        yield Disturbance(
            "the clock may rise above its rated speed (turbo), as long as temperature and the other cores allow",
            "switch it off while measuring: echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, or boost=0 on AMD",
        )


def _mean_share(
    before: Mapping[int, float], after: Mapping[int, float], cores: tuple[int, ...], wall_s: float
) -> float | None:
    if not cores or any(core not in before or core not in after for core in cores):
        return None
    return sum(after[core] - before[core] for core in cores) / (wall_s * len(cores))


def _busiest(before: Mapping[str, float], after: Mapping[str, float], wall_s: float) -> dict[str, float]:
    """Programs of one name count together; one that began meanwhile counts from 0, one that ended is missed."""
    shares: dict[str, float] = {}
    for process, seconds in after.items():
        name = process.partition(" ")[2]
        shares[name] = shares.get(name, 0.0) + (seconds - before.get(process, 0.0)) / wall_s
    busiest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_N_PROCESSES]
    return {name: share for name, share in busiest if share > _MUCH_OF_A_CORE}
