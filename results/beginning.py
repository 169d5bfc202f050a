"""What a run knew when it began, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def beginning_line(manifest: Mapping[str, Any]) -> str:
    """What the search took from the stored tables, and what it measured of single choices; empty where it had neither.

    Args:
        manifest: Of the run; an older one says nothing of it.
    """
    tables = manifest.get("tables", {})
    parts = []
    observed = {name: n for name, n in tables.get("observations", {}).items() if n}
    if observed:
        candidates = " and ".join(_candidates(name, n) for name, n in observed.items())
        parts.append(f"Began with {candidates} of earlier searches")
    if tables.get("plan"):
        parts.append(f"{'e' if parts else 'E'}ffect of single choices on the outputs, as planned: {tables['plan']}")
    return "; ".join(parts)


def storing_problem(manifest: Mapping[str, Any]) -> str:
    """Why measurements of this run could not be stored for later ones, as a warning; empty where they were.

    Args:
        manifest: Of the run; an older one says nothing of it.
    """
    problem = manifest.get("tables", {}).get("problem", "")
    return f"not all measurements could be stored for later searches: {problem}" if problem else ""


def _candidates(profile: str, n: int) -> str:
    """A number of candidates; of the main profile, which has no name here, it is not said where."""
    noun = "candidate" if n == 1 else "candidates"
    return f"{n} {noun} measured on {profile}" if profile else f"{n} measured {noun}"
