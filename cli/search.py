"""The command `search`, the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import EXIT_INTERRUPTED
from .options import (
    BiasCorrection,
    Constraints,
    Hardwares,
    Importance,
    Only,
    Ranges,
    TaskName,
    WithCp,
    WithOperators,
)

if TYPE_CHECKING:
    from ..results import Run
    from ..search.workers import Workers
    from ..tasks import Resources


def search(
    task: TaskName,
    hardware: Hardwares = ["cpu-ort-1t"],  # noqa: B006  # what Typer shows as the default; nothing changes it
    trials: Annotated[int, typer.Option(min=0, help="Candidates to evaluate; failed and closed ones count.")] = 60,
    finals: Annotated[int, typer.Option(min=0, help="Members of the front that get the full fine-tune.")] = 8,
    out: Annotated[
        Path | None, typer.Option(help="Run directory; an existing run goes on.", show_default="runs/TASK")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of proposals and training.")] = 0,
    sampler: Annotated[
        str,
        typer.Option(help="tables (ours), random, or Optuna's nsga2, nsga3, tpe (multivariate), tpe-univariate or gp."),
    ] = "tables",
    shorts: Annotated[
        int | None,
        typer.Option(
            min=0, help="Candidates that get the short fine-tune, by what they reach untrained.", show_default="all"
        ),
    ] = None,
    promotion: Annotated[
        str, typer.Option(help="Who gets the full fine-tune: aimed at drops of 0.5 to 5 points, or by rank.")
    ] = "aimed",
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            metavar="NAME",
            help="accuracy, latency, size, macs, memory or energy, at least two; @PROFILE after one for a further "
            "--hardware. Repeatable, or with commas.",
            show_default="accuracy,latency,size",
        ),
    ] = None,
    constraints: Constraints = None,
    max_time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Wall time of the whole run, its final members included: 90s, 15min, 2h."),
    ] = None,
    max_cpu: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Processor time of the whole run, likewise; time on a GPU does not count."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="End the search after so many candidates without a gain in hypervolume above 0.1%."),
    ] = None,
    remeasure: Annotated[
        int,
        typer.Option(min=0, help="Trials that may be measured again where the front turns on an unsure difference."),
    ] = 8,
    earlier: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Begin from the trials of an earlier run of the same task."),
    ] = None,
    table_time: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="What measuring single choices' effects on the outputs may take before the search; the others are "
            "estimated. Kept for later searches.",
        ),
    ] = "5s",
    stored_tables: Annotated[
        bool,
        typer.Option(
            "--stored-tables/--no-stored-tables",
            help="Begin with operator times and effects of choices that earlier searches measured, or with none.",
        ),
    ] = True,
    inherit: Annotated[
        str,
        typer.Option(
            metavar="none|weights|segment",
            help="What short fine-tunes take over from the most similar trial: nothing; its weights; its weights, "
            "training only the layers that differ.",
        ),
    ] = "none",
    n_workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, help="Candidates evaluated side by side, each in a process of its own; 0: in this one."
        ),
    ] = 0,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="A Ray cluster that this machine belongs to, for the workers.",
            show_default="a Ray of its own",
        ),
    ] = None,
    trial_timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="With workers: a stage of a trial that takes longer fails.", show_default="no limit"
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="PostgreSQL database for the trials: postgresql://USER@HOST/DATABASE; the password from PGPASSWORD.",
            show_default="journal.log in the run directory",
        ),
    ] = None,
    artefacts: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the trials' files are copied to: a shared directory, or an address that fsspec knows.",
            show_default="nowhere",
        ),
    ] = None,
    is_verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that goes into the run's log.jsonl.")
    ] = False,
    importance: Importance = "l2",
    ranges: Ranges = "minmax",
    bias_correction: BiasCorrection = False,
    with_cp: WithCp = False,
    with_operators: WithOperators = False,
    only: Only = None,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all that is asked, print it, and start nothing.")
    ] = False,
) -> None:
    """Search the Pareto front of a network. Started again with the same --out, it goes on where it was."""
    from ..evaluators import Inheritance
    from ..hardware_profiles import load_profile
    from ..search.full_disk import told_if_full
    from ..search.goals import parse_goals
    from ..search.keeping import Keeping
    from ..search.run_directory import RunDirectory
    from ..search.session import run_search
    from ..search.settings import SearchSettings
    from ..search.stopping import Limits
    from ..search.workers import pause_while_measured
    from ..spaces import CompressionOptions
    from ..tasks import load_task
    from .progress import open_display
    from .quantities import parse_seconds

    max_wall_s, max_cpu_s = (None if each is None else parse_seconds(each) for each in (max_time, max_cpu))
    table_s = parse_seconds(table_time)
    limits = Limits(max_wall_s, max_cpu_s, patience)
    loaded_task = load_task(task)
    workers = workers_of(task, n_workers, address, trial_timeout, loaded_task.resources)
    profile, *others = (load_profile(each) for each in hardware)
    goals = parse_goals(objectives or (), constraints or (), [each.name for each in (profile, *others)])
    options = CompressionOptions(
        importance, ranges, bias_correction, with_cp, goals.has_stored, with_operators, tuple(only or ())
    )
    settings = SearchSettings(
        n_trials=trials,
        n_final=finals,
        seed=seed,
        sampler=sampler,
        options=options,
        n_short=shorts,
        promotion=promotion,
        goals=goals,
        limits=limits,
        n_repeats=remeasure,
        earlier=earlier,
        table_seconds=table_s,
        has_stored_tables=stored_tables,
        inheritance=Inheritance.parse(inherit),
    )
    directory = RunDirectory(out or Path("runs") / loaded_task.name)
    names = " and ".join(each.name for each in (profile, *others))
    if is_dry_run:
        typer.echo(f"{loaded_task.name} on {names}: {trials} candidates, {finals} final members, into {directory.root}")
        return
    try:
        # Other searches on this machine, those of a sweep for instance, measure in quiet too.
        pause = pause_while_measured((profile, *others))
        with open_display(f"{loaded_task.name} on {names}", is_verbose=is_verbose) as display:

            def on_progress(what: str, step: int, total: int) -> None:
                pause(what, step, total)
                display.on_progress(what, step, total)

            run_search(
                loaded_task,
                profile,
                settings,
                directory,
                on_status=display.on_status,
                progress=on_progress,
                others=others,
                workers=workers,
                keeping=Keeping(storage, artefacts),
            )
    except KeyboardInterrupt:
        typer.echo("Stopped. Every ended trial is kept; the same command goes on from here.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    with told_if_full(directory.root):
        _conclude(directory.root, storage)


def workers_of(
    task: str, n_workers: int, address: str | None, timeout: str | None, resources: Resources | None = None
) -> Workers | None:
    """What is asked of the workers; None where there are to be none."""
    from ..hardware_profiles.errors import SearchError
    from ..search.workers import LOCAL, Workers, threads_per_worker
    from ..tasks import EVENLY
    from .quantities import parse_seconds

    if n_workers == 0:
        for flag, value in (("--address", address), ("--trial-timeout", timeout)):
            if value is not None:
                raise SearchError(f"{flag} must come with workers, but --workers is 0: add --workers 2, for instance")
        return None
    max_job_s = None if timeout is None else parse_seconds(timeout)
    asked = resources or EVENLY
    n_threads = asked.cpus or threads_per_worker(n_workers)
    return Workers(task, n_workers, address or LOCAL, max_job_s, n_threads, asked.gpus, asked.memory_bytes)


def _write_table(run: Run) -> None:
    """All trials as a table; a full disk costs the table and nothing else: it can be written later."""
    from ..results.table import write_table
    from .console import warn

    try:
        write_table(run.table, run.directory)
    except OSError as error:
        later = f"later: parefront trials {run.directory} --write"
        warn(f"the table of trials was not written ({error}); {later}")


def _conclude(directory: Path, storage: str | None) -> None:
    """The closing summary: how much faster at what loss first, then the front, the time spent, the report."""
    from ..results import load, write_report
    from .console import print_sentence
    from .tables import print_beginning, print_ending, print_front, print_rungs, print_screening, print_times

    run = load(directory, storage)
    _write_table(run)
    report = write_report(run, directory / "report.html")
    typer.echo()
    print_sentence(f"{run.summary}\n", "bold")
    print_front(run)
    print_beginning(run)
    print_ending(run)
    print_times(run)
    print_screening(run)
    print_rungs(run)
    typer.echo(f"Report: {report}")
