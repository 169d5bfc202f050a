"""The commands about several runs: compare, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import AsCsv, AsJson, check_formats, print_json, print_rows


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="The directories of two or more runs.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Put runs beside each other: what each reached, and the front of all where their scores compare."""
    from ..results.run_comparison import compare as compare_runs
    from .compare_tables import member_rows, print_comparison
    from .console import warn
    from .runs import open_run

    check_formats(as_json=as_json, as_csv=as_csv)
    comparison = compare_runs([open_run(run) for run in runs])
    if as_json:
        print_json(comparison.to_json())
    elif as_csv:
        for obstacle in comparison.obstacles:
            warn(f"there is no front of all: {obstacle}")
        print_rows(member_rows(comparison))
    else:
        print_comparison(comparison)


def runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of runs.")] = Path("runs"),
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the runs in a folder: how far each is, and what it found."""
    from ..results.run_list import list_runs
    from .compare_tables import print_runs

    check_formats(as_json=as_json, as_csv=as_csv)
    lines = list_runs(folder)
    if as_json:
        print_json([line.to_json() for line in lines])
    elif as_csv:
        print_rows([line.to_json() for line in lines])
    else:
        print_runs(lines, folder)
