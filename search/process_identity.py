"""Whether a process that was noted down earlier is still the same one: numbers of processes are used again."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
# Fields of /proc/PID/stat behind the name in brackets (proc(5)): the state, and when it was started, in clock ticks
# since the machine was.
_STATE_FIELD, _START_FIELD = 0, 19
_DEAD_STATES = ("Z", "X")


def start_of(pid: int, root: Path = _PROC) -> int:
    """When a process was started, in clock ticks since the machine was; 0 where nothing tells of it."""
    fields = _fields(pid, root)
    return int(fields[_START_FIELD]) if fields else 0


def is_alive(pid: int, start: int, root: Path = _PROC) -> bool:
    """Whether the process still runs that had this number and this start.

    Args:
        pid: Its number.
        start: What `start_of` gave while it ran.
        root: Where the system tells of its processes.
    """
    fields = _fields(pid, root)
    return bool(fields) and int(fields[_START_FIELD]) == start and fields[_STATE_FIELD] not in _DEAD_STATES


def _fields(pid: int, root: Path) -> list[str]:
    try:
        text = (root / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name may hold blanks and brackets itself
