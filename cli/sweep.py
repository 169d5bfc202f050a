"""The commands about sweeps: run, status, stop, resume, submit. Thin, as in `main`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .errors import EXIT_ERROR, EXIT_INTERRUPTED

if TYPE_CHECKING:
    from ..search.sweep_directory import SweepDirectory
    from ..search.sweep_plan import SweepPlan

DEFAULT_COMMAND = "run"


class SweepGroup(TyperGroup):
    """Commands of which one need not be named: `parefront sweep FILE` is `parefront sweep run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Click's types, or those of its copy in Typer
        """Puts the command in where there is none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [DEFAULT_COMMAND, *args]
        return list(super().parse_args(ctx, args))


sweep_app = typer.Typer(
    cls=SweepGroup,
    help="Many searches: tasks x hardware x seeds x settings. `parefront sweep FILE` runs one.",
    no_args_is_help=True,
)

SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="YAML: tasks, hardware, seeds, settings, common, ...")]
SweepPath = Annotated[Path, typer.Argument(metavar="OUT", help="The directory of a sweep (out of its file).")]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="A Ray cluster that this machine belongs to.",
        show_default="a Ray of its own",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable: the table and the combined fronts.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="The table, one line for each search.")]


@sweep_app.command("run")
def sweep_run(
    file: SweepFile,
    address: Address = None,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all searches, print the plan and what it takes; start nothing.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Run all searches of a file; started again, it goes on where it was."""
    from ..results.sweep_cost import read_paces
    from ..search.sweep_directory import SweepDirectory
    from .sweep_file import read_sweep
    from .sweep_tables import print_plan

    plan, out = read_sweep(file)
    if is_dry_run:
        print_plan(plan, read_paces([out, out.parent]))
        return
    directory = SweepDirectory(out)
    _check_same(plan, directory)
    _run(plan, directory, address)
    _print(directory, as_json, as_csv)


@sweep_app.command("resume")
def sweep_resume(out: SweepPath, address: Address = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Go on with a sweep that was stopped or killed; failed searches are tried again."""
    from ..search.sweep_directory import SweepDirectory

    directory = SweepDirectory(out.absolute())
    plan = directory.read_plan()
    _check_place(plan, directory)
    _run(plan, directory, address)
    _print(directory, as_json, as_csv)


@sweep_app.command("status")
def sweep_status(out: SweepPath, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show what became of each search, now: from the files alone, while the sweep runs or after it."""
    from ..search.sweep_directory import SweepDirectory

    _print(SweepDirectory(out.absolute()), as_json, as_csv, fails=False)


@sweep_app.command("stop")
def sweep_stop(
    out: SweepPath,
    is_now: Annotated[
        bool, typer.Option("--now", help="Interrupt the searches that run; what they have evaluated is kept.")
    ] = False,
) -> None:
    """Ask a sweep that runs to end: no search begins any more, those that run go to their end."""
    from ..hardware_profiles.errors import SearchError
    from ..search.sweep_directory import Stop, SweepDirectory

    directory = SweepDirectory(out.absolute())
    directory.read_plan()  # or it is no sweep at all
    driver = directory.driver()
    if not driver:
        raise SearchError(f"only a sweep that runs can be stopped, but nobody runs {out}: see `parefront sweep status`")
    directory.ask_to_stop(Stop.NOW if is_now else Stop.AFTER_SEARCHES)
    what = "is interrupted" if is_now else "goes to its end"
    typer.echo(f"Asked {driver}: what runs {what}, nothing else begins. `parefront sweep resume {out}` goes on.")


@sweep_app.command("submit")
def sweep_submit(
    file: SweepFile,
    address: Annotated[str, typer.Option(metavar="URL", help="The cluster's job server: http://HOST:8265.")],
    is_followed: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Print what the job prints until it ends.")
    ] = True,
) -> None:
    """Upload this directory to a cluster and run the sweep there, as a Ray job."""
    import shlex

    from ..search.ray_jobs import follow, open_client, submit
    from .sweep_file import check_submittable, read_sweep

    read_sweep(file)
    check_submittable(file)
    client = open_client(address)
    job = submit(client, f"parefront sweep run {shlex.quote(str(file))} --address auto", Path.cwd())
    typer.echo(f"Submitted: {job}. `ray job logs {job} --address {address} --follow` shows what it prints.", err=True)
    if not is_followed:
        typer.echo(job)
        return
    try:
        has_succeeded = follow(client, job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(f"No longer followed; the job goes on. `ray job stop {job} --address {address}` ends it.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0 if has_succeeded else EXIT_ERROR)


def _check_same(plan: SweepPlan, directory: SweepDirectory) -> None:
    """Refuses a directory that holds another sweep."""
    from ..hardware_profiles.errors import SearchError

    if not directory.manifest.is_file():
        return
    known = directory.read_plan().searches
    if {each.name: each.flags for each in known} != {each.name: each.flags for each in plan.searches}:
        raise SearchError(
            f"a sweep goes on only as it began, but the searches of {directory.root} have other names or flags than "
            "those of the file: choose another out, or `parefront sweep resume` it as it was"
        )


def _check_place(plan: SweepPlan, directory: SweepDirectory) -> None:
    from ..hardware_profiles.errors import SearchError

    began = Path(str(plan.searches[0].flags["out"])).parent
    if began != directory.root:
        raise SearchError(f"a sweep goes on only where it began, {began}, got {directory.root}: move it back")


def _run(plan: SweepPlan, directory: SweepDirectory, address: str | None) -> None:
    from ..search.sweep import run_sweep
    from ..search.workers import LOCAL
    from .sweep_progress import open_sweep_display

    with open_sweep_display(directory.root) as on_tick:
        run_sweep(plan, directory, search_command(), address=address or LOCAL, on_tick=on_tick)


def search_command() -> list[str]:
    """What runs one search in a process of its own, on any node: the same code as `parefront search`."""
    return [sys.executable, "-P", "-c", "from parefront.cli.main import main; main()", "search"]


def _print(directory: SweepDirectory, as_json: bool, as_csv: bool, *, fails: bool = True) -> None:
    """The results so far; keeps them beside the plan, and ends the program where not all searches have finished."""
    from ..results.sweep import load_sweep
    from ..results.sweep_report import write_sweep_report
    from ..search.sweep_directory import SearchState
    from .sweep_tables import print_csv, print_sweep, sweep_records

    sweep = load_sweep(directory.root)
    if fails:
        directory.write(sweep.plan, sweep_records(sweep))
        write_sweep_report(sweep)
    if as_json:
        typer.echo(json.dumps(sweep_records(sweep), indent=2))
    elif as_csv:
        print_csv(sweep)
    else:
        print_sweep(sweep)
        typer.echo(f"Fronts: {directory.fronts}")
    if not fails or sweep.count(SearchState.FINISHED) == len(sweep.searches):
        return
    if sweep.count(SearchState.FAILED) == 0:
        typer.echo(f"Stopped. `parefront sweep resume {directory.root}` goes on from here.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_ERROR)
