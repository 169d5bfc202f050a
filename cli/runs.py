"""The commands about a run that is on disk: front, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RunPath
from .output import AsCsv, check_formats, print_frame, print_json

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
    as_csv: AsCsv = False,
) -> None:
    """Print the Pareto front of a run."""
    from .console import print_sentence, warn
    from .tables import front_records, front_table, print_front, print_rungs, print_screening
    from .why import print_why, why_json

    check_formats(as_json=as_json, as_csv=as_csv)
    loaded = open_run(run)
    for problem in loaded.artefact_problems(loaded.front):
        warn(problem)
    if as_csv:
        print_frame(front_table(loaded))
        return
    if as_json:
        records = front_records(loaded)
        content = {"front": records, "importance": why_json(loaded)} if shows_why else records
        print_json(content)
        return
    print_sentence(loaded.summary, "bold")
    print_front(loaded)
    print_screening(loaded)
    print_rungs(loaded)
    if shows_why:
        print_why(loaded)


def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="RUN/report.html")] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each figure into this directory; the report then only with --out."),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="Of the figures: png, svg or html; pictures need kaleido and a browser.")
    ] = "png",
) -> None:
    """Write the run as one self-contained HTML file, or its figures one by one."""
    from ..results import write_report

    loaded = open_run(run)
    if figures is None or out is not None:
        typer.echo(f"Report: {write_report(loaded, out or run / 'report.html')}")
    if figures is not None:
        from ..results.figure_files import write_figures

        for path in write_figures(loaded, figures, file_format):
            typer.echo(f"Figure: {path}")


def open_run(directory: Path) -> Run:
    """Reads a run, and says on the error stream what of it could not be read."""
    from ..results import load
    from .console import warn

    run = load(directory)
    for problem in run.problems:
        warn(problem)
    return run
