"""Size: the bytes of the file that the runtime loads."""

from __future__ import annotations

from pathlib import Path

from .evaluator import Score


def size_score(artefact: Path) -> Score:
    """Size of an artefact on disk, everything in it counted."""
    return Score("size_bytes", float(artefact.stat().st_size), "bytes", is_higher_better=False)
