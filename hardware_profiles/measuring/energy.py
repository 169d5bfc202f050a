"""The energy that processors take, where the host offers its counters (RAPL); elsewhere there is none, and no guess.

Source: Linux kernel documentation, "Power Capping Framework".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class _Package:
    """One processor package's counter: where it is read, and where it starts anew, in µJ."""

    counter: Path
    range_uj: int


class EnergyCounter:
    """Tells the energy that all processor packages took since it was made or last asked."""

    def __init__(self, root: Path = _POWERCAP) -> None:
        """Looks for counters that may be read.

        Args:
            root: Where the kernel shows them; another folder in tests.
        """
        self._packages = tuple(_packages(root))
        self._last = self._read()

    @property
    def is_available(self) -> bool:
        """Whether the host offers the counters to this process."""
        return bool(self._packages)

    def joules(self) -> float | None:
        """Energy since the last call, in J; None where the host does not tell."""
        if not self._packages:
            return None
        before, self._last = self._last, self._read()
        pairs = zip(self._packages, before, self._last, strict=True)
        return sum((now - then) % package.range_uj for package, then, now in pairs) / 1e6

    def _read(self) -> tuple[int, ...]:
        return tuple(int(package.counter.read_text(encoding="ascii")) for package in self._packages)


def _packages(root: Path) -> list[_Package]:
    """The packages' zones (`intel-rapl:0`); their parts (`intel-rapl:0:0`) are counted within them."""
    found = []
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        try:
            range_uj = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
            int((zone / "energy_uj").read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # Reading it takes permission.
        found.append(_Package(zone / "energy_uj", range_uj + 1))
    return found
