"""The commands about the trials of one run: trials, show."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import RunPath
from .output import AsCsv, AsJson, check_formats, print_frame, print_json


def trials(
    run: RunPath,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    is_written: Annotated[
        bool, typer.Option("--write", help="Write the whole table as RUN/trials.parquet and RUN/trials.csv.")
    ] = False,
) -> None:
    """List every trial of a run, failed and closed ones too; --csv has all columns of docs/results.md."""
    from .runs import open_run
    from .trial_tables import print_trials, trial_records

    check_formats(as_json=as_json, as_csv=as_csv)
    loaded = open_run(run)
    if is_written:
        from ..results.table import write_table

        written = write_table(loaded.table, loaded.directory)
        typer.echo(f"Written: {' and '.join(map(str, written))}", err=True)
    if as_json:
        print_json(trial_records(loaded))
    elif as_csv:
        print_frame(loaded.table)
    elif not is_written:
        print_trials(loaded)


def show(
    run: RunPath,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Its number, as `front` and `trials` show it.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show everything about one trial: scores beside the baseline's, what was done to each layer, its origin."""
    from ..results.trial_view import view_trial
    from .runs import open_run
    from .trial_tables import print_trial

    check_formats(as_json=as_json, as_csv=as_csv)
    loaded = open_run(run)
    view = view_trial(loaded, trial)
    if as_json:
        print_json(view.to_json())
    elif as_csv:
        print_frame(loaded.table.loc[[trial]])
    else:
        print_trial(view, loaded)
