"""The command `search`, the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
from .search_options import (
    Address,
    Artefacts,
    Earlier,
    Finals,
    Inherit,
    IsDryRun,
    IsVerbose,
    MaxCpu,
    MaxTime,
    NWorkers,
    Objectives,
    Out,
    Patience,
    Promotion,
    Remeasure,
    Sampler,
    Seed,
    Shorts,
    Storage,
    StoredTables,
    TableTime,
    Trials,
    TrialTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..hardware_profiles import HardwareProfile
    from ..results import Run
    from ..search.keeping import Keeping
    from ..search.run_directory import RunDirectory
    from ..search.settings import SearchSettings
    from ..search.workers import Workers
    from ..tasks import Resources, Task


def search(
    task: TaskName,
    hardware: Hardwares = ["cpu-ort-1t"],  # noqa: B006  # what Typer shows as the default; nothing changes it
    trials: Trials = 60,
    finals: Finals = 8,
    out: Out = None,
    seed: Seed = 0,
    sampler: Sampler = "tables",
    shorts: Shorts = None,
    promotion: Promotion = "aimed",
    objectives: Objectives = None,
    constraints: Constraints = None,
    max_time: MaxTime = None,
    max_cpu: MaxCpu = None,
    patience: Patience = None,
    remeasure: Remeasure = 8,
    earlier: Earlier = None,
    table_time: TableTime = "5s",
    stored_tables: StoredTables = True,
    inherit: Inherit = "none",
    n_workers: NWorkers = 0,
    address: Address = None,
    trial_timeout: TrialTimeout = None,
    storage: Storage = None,
    artefacts: Artefacts = None,
    is_verbose: IsVerbose = False,
    importance: Importance = "l2",
    ranges: Ranges = "minmax",
    bias_correction: BiasCorrection = False,
    with_cp: WithCp = False,
    with_operators: WithOperators = False,
    only: Only = None,
    is_dry_run: IsDryRun = False,
) -> None:
    """Search the Pareto front of a network. Started again with the same --out, it goes on where it was."""
    from ..evaluators import Inheritance
    from ..hardware_profiles import load_profile
    from ..search.full_disk import told_if_full
    from ..search.goals import parse_goals
    from ..search.keeping import Keeping
    from ..search.run_directory import RunDirectory
    from ..search.settings import SearchSettings
    from ..search.stopping import Limits
    from ..spaces import CompressionOptions
    from ..tasks import load_task
    from .quantities import parse_seconds

    max_wall_s, max_cpu_s = (None if each is None else parse_seconds(each) for each in (max_time, max_cpu))
    table_s = parse_seconds(table_time)
    limits = Limits(max_wall_s, max_cpu_s, patience)
    loaded_task = load_task(task)
    workers = workers_of(task, n_workers, address, trial_timeout, loaded_task.resources)
    profiles = tuple(load_profile(each) for each in hardware)
    goals = parse_goals(objectives or (), constraints or (), [each.name for each in profiles])
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
    if is_dry_run:
        title = f"{loaded_task.name} on {_names(profiles)}"
        typer.echo(f"{title}: {trials} candidates, {finals} final members, into {directory.root}")
        return
    _run(loaded_task, profiles, settings, directory, workers, Keeping(storage, artefacts), is_verbose)
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


def _run(
    task: Task,
    profiles: tuple[HardwareProfile, ...],
    settings: SearchSettings,
    directory: RunDirectory,
    workers: Workers | None,
    keeping: Keeping,
    is_verbose: bool,
) -> None:
    """The search itself, and its progress for people; ended by hand, it says how to go on."""
    from ..search.session import run_search
    from ..search.workers import pause_while_measured
    from .progress import open_display

    profile, *others = profiles
    # Other searches on this machine, those of a sweep for instance, measure in quiet too.
    pause = pause_while_measured(profiles)
    try:
        title = f"{task.name} on {_names(profiles)}"
        with open_display(title, is_verbose=is_verbose) as display:

            def on_progress(what: str, step: int, total: int) -> None:
                pause(what, step, total)
                display.on_progress(what, step, total)

            run_search(
                task,
                profile,
                settings,
                directory,
                on_status=display.on_status,
                progress=on_progress,
                others=others,
                workers=workers,
                keeping=keeping,
            )
    except KeyboardInterrupt:
        typer.echo("Stopped. Every ended trial is kept; the same command goes on from here.", err=True)
        sys.exit(EXIT_INTERRUPTED)


def _names(profiles: Sequence[HardwareProfile]) -> str:
    return " and ".join(each.name for each in profiles)


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
