"""How a run ended, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .findings import Findings


def ending_line(manifest: Mapping[str, Any], findings: Findings) -> str:
    """What ended the search, what there was no time for, and what was measured again or came from an earlier run.

    Args:
        manifest: Of the run; before its end it says nothing of it.
        findings: Of its record.
    """
    parts = []
    if manifest.get("ended_by"):
        parts.append(f"Search ended by {manifest['ended_by']}")
    if manifest.get("cut"):
        parts.append(f"cut: {manifest['cut']}")
    n_again = len(findings.superseded)
    n_reused = sum(trial.is_reused for trial in findings.trials)
    if n_again:
        parts.append(f"{n_again} {_trials(n_again)} measured again")
    if n_reused:
        parts.append(f"{n_reused} {_trials(n_reused)} from {manifest.get('from', 'an earlier run')}")
    return "; ".join(parts)


def _trials(n: int) -> str:
    return "trial" if n == 1 else "trials"
