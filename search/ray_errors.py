"""What Ray's errors say, for people."""

from __future__ import annotations

import re

_ADDED = ("class_name", "actor_id", "pid", "name", "namespace", "ip")
"""Facts that Ray lists after what happened."""
_GUESSES = " Some common causes include"
_MAX_LENGTH = 400
_OUT_OF_MEMORY = "OutOfMemoryError"
_USED = re.compile(r"\S+ used / \S+ limit")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SILENT_END = "connection error code 2. End of file"


def what_happened(error: Exception) -> str:
    """What happened, in one line, without the facts and guesses that Ray adds to it."""
    if type(error).__name__ == _OUT_OF_MEMORY:
        used = _USED.search(str(error))
        how_much = f" ({used[0]})" if used else ""
        return f"{_OUT_OF_MEMORY}: its machine ran out of memory{how_much}, and Ray ended it: use fewer workers"
    if _SILENT_END in str(error):
        return "its process ended without a word: it crashed or was killed, as the system does where memory runs out"
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    told = [line for line in lines if line.partition(":")[0] not in _ADDED] or [type(error).__name__]
    return " ".join(" ".join(told).split()).partition(_GUESSES)[0][:_MAX_LENGTH]
