"""The commands about a run that is on disk: front, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RunPath

if TYPE_CHECKING:
    from ..results import Run


def front(
    run: RunPath,
    shows_why: Annotated[
        bool, typer.Option("--why", help="Say why each member was proposed, and which decisions matter.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Machine-readable: the rows; with --why an object of rows and importances.")
    ] = False,
) -> None:
    """Print the Pareto front of a run."""
    from .tables import front_records, print_front, print_rungs, print_screening
    from .why import print_why, why_json

    loaded = _load(run)
    if as_json:
        records = front_records(loaded)
        content = {"front": records, "importance": why_json(loaded)} if shows_why else records
        typer.echo(json.dumps(content, indent=2))
        return
    typer.secho(loaded.summary, bold=True)
    print_front(loaded)
    print_screening(loaded)
    print_rungs(loaded)
    if shows_why:
        print_why(loaded)


def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="RUN/report.html")] = None,
) -> None:
    """Write the run as one self-contained HTML file."""
    from ..results import write_report

    typer.echo(f"Report: {write_report(_load(run), out or run / 'report.html')}")


def _load(directory: Path) -> Run:
    from ..results import load

    return load(directory)
