"""How numbers are worded for people, the same in tables, figures and sentences."""

from __future__ import annotations

from ..evaluators.evaluator import Score

_BYTE_UNITS = ("bytes", "kB", "MB", "GB")
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600


def word_score(score: Score, digits: int) -> str:
    """A value with its interval where it was measured: `91.8 [91.0, 92.5]`; without its unit."""
    value = f"{score.value:.{digits}f}"
    if score.low is None or score.high is None:
        return value
    return f"{value} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


def word_ratio(ratio: float) -> str:
    """How many times: `14.2x`."""
    return f"{ratio:.1f}x"


def word_bytes(size_bytes: float) -> str:
    """A size in decimal units, as file managers show it: `48.2 kB`."""
    size, unit = size_bytes, _BYTE_UNITS[0]
    for unit in _BYTE_UNITS:
        if size < 1000 or unit == _BYTE_UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == _BYTE_UNITS[0] else f"{size:.1f} {unit}"


def word_seconds(seconds: float) -> str:
    """A duration: `8.4 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _SECONDS_PER_HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
