"""Quantities as people type them."""

from __future__ import annotations

import re

from ..hardware_profiles.errors import SearchError

_SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([kMG]i?B?|B|bytes)?", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", re.IGNORECASE)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hours": 3600, "hour": 3600, "d": 86_400}
_FACTORS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def parse_bytes(text: str) -> float:
    """A size such as `200000`, `200kB`, `1.5 MB` or `1MiB`, in bytes.

    Raises:
        SearchError: Not a size, or none at all.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = (found[2] or "").lower().removesuffix("bytes").removesuffix("b") if found else ""
    size = float(found[1]) * _FACTORS[unit] if found else 0.0
    if size <= 0:
        raise SearchError(f"a size must be a number of bytes above 0, got {text!r}: write for instance 200kB or 1.5MB")
    return size


def parse_seconds(text: str) -> float:
    """A duration such as `90s`, `15min` or `1.5 h`, in s; a number needs its unit.

    Raises:
        SearchError: Not a duration, or none at all.
    """
    found = _TIME.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS.get(found[2].lower(), 0) if found else 0.0
    if seconds <= 0:
        raise SearchError(
            f"a duration must be a number above 0 and its unit, got {text!r}: write for instance 90s or 2h"
        )
    return seconds
