"""What `front --why` prints: why each member was proposed, and which decisions matter."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..results import Run
from ..results.importance import ObjectiveImportance, importances
from ..results.importance_figure import word_effect
from ..results.lineage import lineage
from .console import open_console

MAX_SITES = 8
"""Sites named per objective."""


def print_why(run: Run) -> None:
    """The lineage of every compressed member, then the sites that matter most for each objective."""
    console = open_console()
    members = [trial for trial in run.front if trial.configuration]
    if members:
        console.print("\nWhy these", style="bold")
    for trial in members:
        found = lineage(trial, run.trials, run.sites)
        console.print(Text.assemble((f"#{trial.number}", "bold"), " ", found.text))
        if found.changes_text:
            console.print(Padding(Text(found.changes_text, style="dim"), (0, 0, 0, 4)))
    if run.trials:
        console.print("\nWhich decisions matter", style="bold")
        found_sites = importances(run.trials, run.sites, run.objectives)
        _print_sites([each for each in found_sites if not each.reason])
        for each in found_sites:
            if each.reason:
                console.print(Text(f"{each.objective}: nothing can be said: {each.reason}"))


def why_json(run: Run) -> dict[str, Any]:
    """The importances as plain data."""
    return {each.objective: each.to_json() for each in importances(run.trials, run.sites, run.objectives)}


def _print_sites(found: list[ObjectiveImportance]) -> None:
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("objective", no_wrap=True)
    table.add_column("site")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("strongest choice", justify="right", no_wrap=True)
    for each in found:
        shown = each.sites[:MAX_SITES]
        for i, site in enumerate(shown):
            effect = f"{word_effect(site.effect, each.effect_unit)}{'' if site.is_clear else ' ?'}"
            table.add_row(
                each.objective if i == 0 else "",
                Text(site.site),
                f"{site.share:.0%}",
                effect,
                style=None if site.is_clear else "dim",
                end_section=i == len(shown) - 1,
            )
    console = open_console()
    console.print(table)
    console.print("share: of what all decisions do · ?: the trials do not tell it from zero", style="dim")
