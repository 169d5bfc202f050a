"""What goes on around a measurement: others' processor time, load, clock rate. Read where the measuring happens."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ..detection.machine import read_system_file, sibling_groups
from .cores import available_cores

_ROOT = Path("/")
_CPUS = "sys/devices/system/cpu"
# Fields of a "cpuN" line of /proc/stat (proc(5)): user, nice, system, irq, softirq; then steal.
_BUSY_FIELDS, _STEAL_FIELD = (1, 2, 3, 6, 7), 8
# Fields of /proc/PID/stat behind the name in brackets: user and system time, the 14th and 15th of all.
_USER_FIELD, _SYSTEM_FIELD = 11, 12


@dataclass(frozen=True, slots=True)
class Conditions:
    """A machine at one moment; two of them tell what happened between. JSON round trip, to come from another machine.

    Attributes:
        clock_s: A clock that never goes back, in s.
        busy_s: Time that each core worked since the machine started, in s, by core; without steal.
        steal_s: Time that a hypervisor gave to other machines while the core wanted to work, in s, by core.
        process_s: Processor time of every process but this one, in s, by "PID NAME".
        load: Mean number of runnable processes over the last minute, None where the system does not say.
        governor: What sets the clock rate, None where the system does not say (virtual machines mostly).
        is_turbo_on: Whether the clock may rise above its rated speed, None where the system does not say.
        sibling_groups: Cores that share one physical core, see `Machine`; None where the system does not say.
    """

    clock_s: float
    busy_s: Mapping[int, float]
    steal_s: Mapping[int, float]
    process_s: Mapping[str, float]
    load: float | None
    governor: str | None
    is_turbo_on: bool | None
    sibling_groups: tuple[tuple[int, ...], ...] | None

    def to_json(self) -> dict[str, Any]:
        """Gives plain data for a message."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Reads what `to_json` gave, after it went through JSON text."""
        groups = content["sibling_groups"]
        return cls(
            clock_s=content["clock_s"],
            busy_s={int(core): seconds for core, seconds in content["busy_s"].items()},
            steal_s={int(core): seconds for core, seconds in content["steal_s"].items()},
            process_s=content["process_s"],
            load=content["load"],
            governor=content["governor"],
            is_turbo_on=content["is_turbo_on"],
            sibling_groups=None if groups is None else tuple(tuple(group) for group in groups),
        )


def read_conditions(root: Path = _ROOT) -> Conditions:
    """Reads the machine's conditions now.

    Args:
        root: Where /sys and /proc are; another folder in tests.
    """
    busy_s, steal_s = _core_times(root)
    cores = available_cores()
    load = read_system_file(root / "proc" / "loadavg")
    return Conditions(
        clock_s=time.monotonic(),
        busy_s=busy_s,
        steal_s=steal_s,
        process_s=_process_times(root),
        load=None if load is None else float(load.split()[0]),
        governor=read_system_file(root / _CPUS / f"cpu{cores[0]}" / "cpufreq" / "scaling_governor"),
        is_turbo_on=_is_turbo_on(root),
        sibling_groups=sibling_groups(cores, root),
    )


def _core_times(root: Path) -> tuple[dict[int, float], dict[int, float]]:
    busy_s, steal_s = {}, {}
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    for line in (read_system_file(root / "proc" / "stat") or "").splitlines():
        fields = line.split()
        number = fields[0].removeprefix("cpu") if fields else ""
        if number.isdecimal() and line.startswith("cpu"):
            busy_s[int(number)] = sum(int(fields[position]) for position in _BUSY_FIELDS) / ticks_per_s
            steal_s[int(number)] = int(fields[_STEAL_FIELD]) / ticks_per_s
    return busy_s, steal_s


def _process_times(root: Path) -> dict[str, float]:
    found = {}
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    for folder in (root / "proc").glob("[0-9]*"):
        text = read_system_file(folder / "stat")
        if text is None or folder.name == str(os.getpid()):
            continue  # It has ended since it was listed, or is the one that measures.
        # The name may hold blanks and brackets itself.
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        found[f"{folder.name} {name}"] = (int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])) / ticks_per_s
    return found


def _is_turbo_on(root: Path) -> bool | None:
    no_turbo = read_system_file(root / _CPUS / "intel_pstate" / "no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = read_system_file(root / _CPUS / "cpufreq" / "boost")
    return None if boost is None else boost == "1"
