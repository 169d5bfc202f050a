"""A sweep's plan and results for the terminal, and as JSON and CSV."""

from __future__ import annotations

import csv
import sys
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ..results.sweep import Sweep, SweepRow, sweep_rows
from ..results.sweep_cost import Pace, estimated_s, total_line
from ..results.sweep_fronts import sweep_fronts
from ..results.sweep_report import row_cells, sweep_line
from ..results.wording import word_seconds
from ..search.sweep_directory import SearchState
from ..search.sweep_plan import SweepPlan
from .console import open_console

_STYLES = {
    SearchState.FINISHED: "green",
    SearchState.FAILED: "red",
    SearchState.RUNNING: "cyan",
    SearchState.RETRYING: "yellow",
    SearchState.INTERRUPTED: "yellow",
}


def print_plan(plan: SweepPlan, paces: list[Pace]) -> None:
    """What a sweep would run, and what that takes."""
    console = open_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("search", overflow="fold")
    for heading in ("candidates", "finals", "training samples", "cores", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("known from")
    for each in plan.searches:
        seconds, source = estimated_s(each, paces)
        samples = f"≤ {each.n_samples:,}" if each.n_samples else "by epochs"
        time = "" if seconds is None else word_seconds(seconds)
        table.add_row(each.name, str(each.n_trials), str(each.n_finals), samples, str(each.n_cpus), time, source)
    console.print(table)
    noun = "search" if len(plan.searches) == 1 else "searches"
    retries = "retry" if plan.retries == 1 else "retries"
    console.print(
        f"{len(plan.searches)} {noun}, {plan.concurrency} side by side, each with up to {plan.retries} {retries}"
    )
    console.print(total_line(plan, paces))


def print_sweep(sweep: Sweep) -> None:
    """All searches in one table, then why some failed."""
    console = open_console()
    rows = sweep_rows(sweep)
    runs = f", run by {sweep.driver}" if sweep.driver else ""
    console.print(Text(f"{sweep_line(sweep)}{runs}", style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("search", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in ("trials", "hypervolume", "faster", "smaller", "lost pt", "on test", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        state, *figures = row_cells(row)
        table.add_row(row.name, Text(state, style=_STYLES.get(SearchState(state), "")), *figures)
    console.print(table)
    for row in rows:
        if row.error:
            attempts = f" after {row.n_attempts} attempts" if row.n_attempts > 1 else ""
            console.print(Text(f"{row.name} {row.state}{attempts}: {row.error}", style="red"), soft_wrap=True)


def sweep_records(sweep: Sweep) -> dict[str, Any]:
    """The table and the combined fronts as plain data."""
    return {
        "searches": [row.to_json() for row in sweep_rows(sweep)],
        "fronts": [
            {
                "hardware": front.hardware,
                "task": front.task,
                "fidelity": front.fidelity.value,
                "members": [
                    {
                        "search": point.search,
                        "trial": point.number,
                        front.axis.name: point.cost.to_json(),
                        "accuracy": point.accuracy.to_json(),
                        "accuracy_drop": point.drop,
                    }
                    for point in front.points
                    if point.is_best
                ],
                "left_out": dict(front.left_out),
            }
            for front in sweep_fronts(sweep)
        ],
    }


def print_csv(sweep: Sweep) -> None:
    """One line for each search."""
    writer = csv.DictWriter(sys.stdout, SweepRow.__slots__, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_json() for row in sweep_rows(sweep))
