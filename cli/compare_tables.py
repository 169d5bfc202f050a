"""Several runs beside each other, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from rich.text import Text

from ..results.goal_words import word_box
from ..results.run_comparison import RunComparison, SharedMember
from ..results.run_list import RunLine
from ..results.table import score_column
from ..results.trial_view import word_fidelity
from ..results.wording import word_bytes, word_ratio
from ..search.objectives import MAX_RATIO
from .console import NARROW, open_console, open_table, warn
from .tables import with_half_width

_STATUS_STYLES = {"running": "green", "unreadable": "red", "unfinished": "yellow"}


def print_runs(lines: Sequence[RunLine], folder: Path) -> None:
    """One row each, named as they are in the folder; below, what could not be read."""
    console = open_console()
    table = open_table(open_console())
    for heading in ("run", "task on hardware"):
        table.add_column(heading, overflow="fold")
    table.add_column("status", no_wrap=True)
    for heading in ("trials", "front", "drop pt", "faster", "smaller"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        what = f"{line.task} on {line.hardware}" if line.task else ""
        counts = ("", "") if line.status == "unreadable" else (str(line.n_trials), str(line.n_front))
        status = Text(line.status, style=_STATUS_STYLES.get(line.status, ""))
        name = line.directory.relative_to(folder) if line.directory != folder else line.directory
        table.add_row(Text(str(name)), Text(what), status, *counts, *_gains(line))
    console.print(table)
    for line in lines:
        for sentence in [line.summary] if line.status == "unreadable" else line.problems:
            warn(f"{line.directory}: {sentence}")


def print_comparison(comparison: RunComparison) -> None:
    """What each run reached, what compares, how much of the shared box each holds, and the front of all."""
    console = open_console()
    for i, run in enumerate(comparison.runs):
        head = f" {run.directory}: {run.manifest.get('task')} on {run.manifest.get('hardware')}"
        console.print(Text.assemble((_letter(i), "bold"), head, (f"\n  {run.summary}", "")))
    for caution in comparison.cautions:
        console.print(Text(f"Note: {caution}", style="yellow"))
    if comparison.obstacles:
        console.print()
        for obstacle in comparison.obstacles:
            console.print(Text(f"No front of all: {obstacle}", style="yellow"))
        return
    assert comparison.fidelity is not None, "what compares has a training"
    console.print()
    _print_shares(comparison)
    objectives = comparison.goals.objectives
    console.print(
        f"hypervolume: of the box from the baseline to {word_box(objectives, MAX_RATIO)}, "
        f"{word_fidelity(comparison.fidelity)}",
        style="dim",
    )
    _print_members(comparison)


def member_rows(comparison: RunComparison) -> list[dict[str, Any]]:
    """The front of all as flat records, for `--csv`."""
    return [_member_row(comparison, member) for member in comparison.members]


def _letter(run: int) -> str:
    """What a run is called in the tables."""
    return ascii_uppercase[run] if run < len(ascii_uppercase) else str(run + 1)


def _gains(line: RunLine) -> tuple[str, str, str]:
    if line.accuracy_drop_pt is None or line.speedup is None or line.size_ratio is None:
        return ("", "", "")
    return (f"{line.accuracy_drop_pt:.2f}", word_ratio(line.speedup), word_ratio(line.size_ratio))


def _print_shares(comparison: RunComparison) -> None:
    table = open_table(open_console())
    table.add_column("run")
    for heading in ("trials", "its front", "in the front of all", "hypervolume %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for i, (run, share) in enumerate(zip(comparison.runs, comparison.hypervolumes, strict=True)):
        n_shared = sum(member.run == i for member in comparison.members)
        n_own = comparison.n_members[i]
        table.add_row(_letter(i), str(len(run.trials)), str(n_own), str(n_shared), f"{100 * share:.1f}")
    together = comparison.together or 0.0
    table.add_section()
    n_trials = sum(len(run.trials) for run in comparison.runs)
    table.add_row("all", str(n_trials), "", str(len(comparison.members)), f"{100 * together:.1f}")
    open_console().print(table)


def _print_members(comparison: RunComparison) -> None:
    console = open_console()
    if not comparison.members:
        console.print("\nThe front of all is empty: no network keeps the limits.")
        return
    console.print("\nThe front of all", style="bold")
    table = open_table(open_console())
    has_width = console.width >= NARROW
    table.add_column("run", no_wrap=True)
    for heading in ("trial", "accuracy %", "drop pt", "latency ms", "faster", "size", "smaller"):
        table.add_column(heading, justify="right", no_wrap=True)
    for member in comparison.members:
        scores = member.trial.scores
        table.add_row(
            _letter(member.run),
            str(member.trial.number),
            with_half_width(scores["accuracy"], 1),
            f"{member.accuracy_drop:.2f}",
            with_half_width(scores["latency_ms"], 3) if has_width else f"{member.trial.value('latency_ms'):.3f}",
            word_ratio(member.speedup),
            word_bytes(scores["size_bytes"].value),
            word_ratio(member.size_ratio),
        )
    console.print(table)
    lead = comparison.members[0]
    directory = comparison.runs[lead.run].directory
    console.print(f"More about one: parefront show {directory} {lead.trial.number}", soft_wrap=True, markup=False)


def _member_row(comparison: RunComparison, member: SharedMember) -> dict[str, Any]:
    row: dict[str, Any] = {"run": str(comparison.runs[member.run].directory), "trial": member.trial.number}
    for name in ("accuracy", "latency_ms", "size_bytes"):
        score = member.trial.scores[name]
        column = score_column(score)
        row |= {column: score.value, f"{column}_low": score.low, f"{column}_high": score.high}
    gains = {"speedup": member.speedup, "size_ratio": member.size_ratio}
    return {**row, "accuracy_drop_pt": member.accuracy_drop, **gains}
