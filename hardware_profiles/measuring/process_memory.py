"""How much memory this process takes at most while something runs, where the system tells."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

_PROCESS = Path("/proc/self")
# Written to clear_refs, it sets the peak to what is resident now (proc(5)).
_RESET_PEAK = "5"


class PeakMemory:
    """Tells by how much the resident memory of this process has grown at most since this was made.

    What was freed before and is used again without growing is not seen, so memory that lies idle is given back first.
    """

    def __init__(self, process: Path = _PROCESS) -> None:
        """Starts at what is resident now.

        Args:
            process: The process's folder of /proc; another one in tests.
        """
        self._process = process
        _give_back_idle_memory()
        try:
            (process / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            self._start = self._read("VmRSS")
        except OSError:
            self._start = None

    def growth_bytes(self) -> int | None:
        """The largest growth since the start, in bytes; None where the system does not tell."""
        peak = self._read("VmHWM") if self._start is not None else None
        return None if peak is None or self._start is None else max(0, peak - self._start)

    def _read(self, field: str) -> int | None:
        try:
            lines = (self._process / "status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        values = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
        kibibytes = next(values, None)
        return None if kibibytes is None else int(kibibytes) * 1024


def _give_back_idle_memory() -> None:
    with contextlib.suppress(OSError, AttributeError):  # Only the GNU C library has it.
        ctypes.CDLL(None).malloc_trim(0)
