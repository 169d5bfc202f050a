"""What this machine is: processor, cores, caches, memory, and what it lets a measurement do. Read, never estimated."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from ..fingerprint import ISA_FLAGS, processor
from ..measuring.cores import available_cores, realtime_priority
from ..measuring.energy import EnergyCounter

_ROOT = Path("/")
_CPUS = "sys/devices/system/cpu"
_POWERCAP = "sys/class/powercap"
_SIZE_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache, as the first of our cores sees it.

    Attributes:
        level: 1 is the nearest to the core.
        kind: "data", "instruction" or "unified".
        size_bytes: How much it holds.
        n_sharing: Logical cores that share it.
    """

    level: int
    kind: str
    size_bytes: int
    n_sharing: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What a profile for a machine begins with.

    Attributes:
        cpu_model: The processor's own name.
        architecture: As `uname -m` says it, for instance "x86_64".
        isa_flags: The instruction sets that matter for kernels, sorted.
        cores: Logical cores that this process may use.
        sibling_groups: Our cores and others that share one physical core with them (SMT), as groups of two or more;
            empty where each stands alone, None where the system does not say.
        caches: By level; empty where the system does not say.
        memory_bytes: All memory, None where the system does not say.
        has_energy_counter: Whether the processor's energy can be read (RAPL).
        is_realtime_permitted: Whether this process may ask for SCHED_FIFO.
    """

    cpu_model: str
    architecture: str
    isa_flags: tuple[str, ...]
    cores: tuple[int, ...]
    sibling_groups: tuple[tuple[int, ...], ...] | None
    caches: tuple[Cache, ...]
    memory_bytes: int | None
    has_energy_counter: bool
    is_realtime_permitted: bool


def read_machine(root: Path = _ROOT) -> Machine:
    """Reads what this machine is.

    Args:
        root: Where /sys and /proc are; another folder in tests.
    """
    cpu_model, flags = processor()
    cores = available_cores()
    with realtime_priority() as is_realtime:
        pass
    return Machine(
        cpu_model=cpu_model,
        architecture=platform.machine(),
        isa_flags=tuple(sorted(flags & ISA_FLAGS)),
        cores=cores,
        sibling_groups=sibling_groups(cores, root),
        caches=read_caches(cores[0], root),
        memory_bytes=read_memory_bytes(root),
        has_energy_counter=EnergyCounter(root / _POWERCAP).is_available,
        is_realtime_permitted=is_realtime,
    )


def sibling_groups(cores: tuple[int, ...], root: Path = _ROOT) -> tuple[tuple[int, ...], ...] | None:
    """Groups of logical cores that share one physical core and hold at least one of `cores`.

    Returns:
        Groups of two or more, ascending; None where the system does not say for one of the cores.
    """
    groups = set()
    for core in cores:
        text = read_system_file(root / _CPUS / f"cpu{core}" / "topology" / "thread_siblings_list")
        if text is None:
            return None
        groups.add(parse_cores(text))
    return tuple(sorted(group for group in groups if len(group) > 1))


def read_caches(core: int, root: Path = _ROOT) -> tuple[Cache, ...]:
    """The caches that a core uses, by level; empty where the system does not say."""
    caches = []
    for folder in sorted((root / _CPUS / f"cpu{core}" / "cache").glob("index*")):
        level, kind, size, shared = (
            read_system_file(folder / name) for name in ("level", "type", "size", "shared_cpu_list")
        )
        if level and kind and size and shared:
            caches.append(Cache(int(level), kind.lower(), _parse_size(size), len(parse_cores(shared))))
    return tuple(caches)


def read_memory_bytes(root: Path = _ROOT) -> int | None:
    """All memory of the machine, in bytes; None where the system does not say."""
    for line in (read_system_file(root / "proc" / "meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 2**10  # "kB" means KiB there, see proc(5)
    return None


def parse_cores(text: str) -> tuple[int, ...]:
    """The cores in a list as the kernel writes it: `0-2,5` → (0, 1, 2, 5)."""
    cores: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def _parse_size(text: str) -> int:
    """`48K` → 49152."""
    unit = _SIZE_UNITS.get(text[-1])
    return int(text) if unit is None else int(text[:-1]) * unit


def read_system_file(path: Path) -> str | None:
    """The text of a file of /sys or /proc without blanks around it; None where there is none that may be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
