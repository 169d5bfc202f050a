"""A run's front and times, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..evaluators.evaluator import Score
from ..results import FrontRow, Run, front_rows
from ..results.goal_words import cost_words, further_costs, scaled, storage_note
from ..results.lineage import lineage
from ..results.wording import word_bytes, word_ratio, word_seconds
from ..search.clock import ENDED, SLOTS
from ..search.goals import Goals
from ..search.manifest import WORK_STAGES
from ..search.objectives import Objective
from ..search.rung_correlation import rung_correlations
from ..search.screening import screening_accuracy
from .console import NARROW, open_console, open_table, print_sentence, warn

if TYPE_CHECKING:
    import pandas as pd

WIDE = 112
"""Columns of a terminal that has room for what nothing was ranked by."""


def print_front(run: Run) -> None:
    """The reported front, from accurate to fast."""
    rows = front_rows(run.findings)
    has_test = any(row.test_accuracy is not None for row in rows)
    console = open_console()
    has_macs = console.width >= WIDE or "macs" in run.objectives.names
    table = open_table(console)
    headings = ("trial", "accuracy %", "drop pt", "latency ms", "faster", "size", "smaller")
    for heading in (*headings, "MACs") if has_macs else headings:
        table.add_column(heading, justify="right", no_wrap=True)
    if has_test:
        table.add_column("test drop" if console.width >= NARROW else "on test", justify="right", no_wrap=True)
    table.add_column("note", min_width=8)  # the only column that may wrap: figures are read whole or not at all
    for row in rows:
        cells = _figures(row, has_width=console.width >= NARROW)
        if has_macs:
            cells.append("" if row.macs is None else f"{row.macs.value / 1e6:.1f} M")
        if has_test:
            cells.append("" if row.test_drop is None else f"{row.test_drop.value:.2f}")
        table.add_row(*cells, _note(row), style="bold green" if row.is_pick else None)
    console.print(table)
    _print_further(console, rows, run.goals)


def _print_further(console: Console, rows: Sequence[FrontRow], goals: Goals) -> None:
    """What else counts in this search, in a table of its own: the first one has no room left."""
    axes = further_costs(goals)
    if not axes or not rows:
        return
    table = open_table(console)
    table.add_column("trial", justify="right", no_wrap=True)
    for axis in axes:
        table.add_column(f"{axis.name} {cost_words(axis).unit}", justify="right", overflow="fold")
        table.add_column(cost_words(axis).better.partition(" ")[0], justify="right", no_wrap=True)
    for row in rows:
        cells = [cell for axis in axes for cell in _further(row, rows[0], axis)]
        table.add_row(str(row.number), *cells, style="bold green" if row.is_pick else None)
    console.print(table)
    if note := storage_note(goals):
        print_sentence(note)


def _figures(row: FrontRow, *, has_width: bool) -> list[str]:
    """What is shown of every run; the latency's interval, the narrower one, only where there is room for it."""
    latency = row.latency_ms
    return [
        str(row.number),
        with_half_width(row.accuracy, 1),
        f"{row.accuracy_drop.value:.2f}",
        with_half_width(latency, 3) if has_width else f"{latency.value:.3f}",
        word_ratio(row.speedup),
        word_bytes(row.size_bytes),
        word_ratio(row.size_ratio),
    ]


def print_beginning(run: Run) -> None:
    """What the search knew when it began; a warning on the error stream where later ones will know less than it."""
    if run.beginning:
        print_sentence(run.beginning)
    if run.storing_problem:
        warn(run.storing_problem)


def print_ending(run: Run) -> None:
    """What ended the search, and what was cut; nothing where that was not recorded."""
    if run.ending:
        print_sentence(run.ending)


def print_times(run: Run) -> None:
    """Where the wall time went."""
    seconds = run.manifest.get("seconds", {})
    total = seconds.get("total", 0.0)
    if not total:
        return
    parts = [f"{stage} {seconds[stage] / total:.0%}" for stage in WORK_STAGES if seconds.get(stage)]
    has_slots = any(SLOTS in trial.details.get(ENDED, {}) for trial in run.trials)
    kind = "overhead and idle workers" if has_slots else "own overhead"
    parts.append(f"{kind} {seconds.get('overhead', 0.0) / total:.1%}")
    open_console().print(f"Time {word_seconds(total)}: {', '.join(parts)}")


def print_screening(run: Run) -> None:
    """How far the predictions that chose the candidates can be trusted."""
    for sentence in filter(None, (run.screening, run.foretold)):
        print_sentence(sentence)


def print_rungs(run: Run) -> None:
    """How far the accuracy after little training could be trusted."""
    if run.rungs:
        print_sentence(run.rungs)


def front_records(run: Run) -> list[dict[str, Any]]:
    """The front as plain data, for `--json`.

    Each row says under `why` how its trial came about; how the search was screened and how its rungs agreed stands in
    every row.
    """
    accuracy = screening_accuracy(run.trials)
    screening = accuracy.to_json() if accuracy else None
    rungs = [each.to_json() for each in rung_correlations(run.trials)]
    by_number = {trial.number: trial for trial in run.trials}
    return [
        {
            **{name: _plain(value) for name, value in ((name, getattr(row, name)) for name in FrontRow.__slots__)},
            "why": lineage(by_number[row.number], run.trials, run.sites).to_json(),
            "screening": screening,
            "rungs": rungs,
        }
        for row in front_rows(run.findings)
    ]


def front_table(run: Run) -> pd.DataFrame:
    """The rows of the front in the table of all trials, from accurate to fast, the baseline first, for `--csv`.

    `speedup` and `size_ratio` are how many times faster and smaller than the baseline each is.
    """
    rows = front_rows(run.findings)
    table = run.table.loc[[row.number for row in rows]]
    table.insert(0, "speedup", [row.speedup for row in rows])
    table.insert(1, "size_ratio", [row.size_ratio for row in rows])
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return value.to_json() if isinstance(value, Score) else value


def _further(row: FrontRow, baseline: FrontRow, axis: Objective) -> tuple[str, str]:
    """A score, and how many times less it is than the baseline's."""
    score, reference = row.further.get(axis.name), baseline.further.get(axis.name)
    shown = "" if score is None else with_half_width(scaled(score, axis), cost_words(axis).digits)
    return shown, "" if score is None or reference is None else word_ratio(reference.value / score.value)


def with_half_width(score: Score, digits: int) -> str:
    """A value and half the width of its interval: `91.8 ± 0.7`."""
    if score.low is None or score.high is None:
        return f"{score.value:.{digits}f}"
    return f"{score.value:.{digits}f} ± {(score.high - score.low) / 2:.{digits}f}"


def _note(row: FrontRow) -> str:
    notes = ["baseline"] if row.is_baseline else []
    if row.is_verified:
        notes.append("verified")
    if not row.is_latency_good:
        notes.append("latency unsure")
    if row.is_pick:
        notes.append("pick")
    return ", ".join(notes)
