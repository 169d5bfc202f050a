"""The command line: thin commands over the packages. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .config import accept_config
from .errors import EXIT_INTERRUPTED, run_program
from .hardware import hardware_app

if TYPE_CHECKING:
    from ..results import Run

app = typer.Typer(
    help="The Pareto front of your own network: accuracy against measured latency and size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(hardware_app, name="hardware")

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A built-in task; MODEL@cifar10, MODEL@cifar100 or MODEL@images:FOLDER with a torchvision model; "
        "or a Python file: my_task.py[:function].",
    ),
]
Hardware = Annotated[str, typer.Option("--hardware", metavar="HW", help="A profile's name, or a YAML file.")]
Importance = Annotated[
    str, typer.Option(metavar="HOW", help="Ranks channels: l2 (of the group), bn (scale), taylor (loss), fpgm.")
]
Ranges = Annotated[
    str, typer.Option("--calibration", metavar="HOW", help="Ranges of activations: minmax, mse or percentile.")
]
BiasCorrection = Annotated[
    bool, typer.Option("--bias-correction", help="Let biases make up for what rounding adds on average.")
]
Hardwares = Annotated[
    list[str],
    typer.Option(
        "--hardware",
        metavar="HW",
        help="A profile's name, or a YAML file. Repeatable: the first is the main one, every candidate is measured on "
        "all, and only what all execute is offered.",
    ),
]
Constraints = Annotated[
    list[str] | None,
    typer.Option(
        "--constraint",
        metavar="LIMIT",
        help='An upper limit: "accuracy_drop<=1pt", "latency<=5ms", "size<=2MB". Repeatable, or with commas.',
    ),
]
WithCp = Annotated[bool, typer.Option("--cp", help="Offer CP among the ranks; it tends to destabilise training.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run (--out of the search).")]


def main() -> None:
    """Runs the program."""
    run_program(app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"parefront {version('parefront')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
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
        typer.Option(help="tables (ours), or Optuna's random, nsga2, nsga3, tpe (multivariate), tpe-univariate or gp."),
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
    importance: Importance = "l2",
    ranges: Ranges = "minmax",
    bias_correction: BiasCorrection = False,
    with_cp: WithCp = False,
) -> None:
    """Search the Pareto front of a network. Started again with the same --out, it goes on where it was."""
    from ..hardware_profiles import load_profile
    from ..search.goals import parse_goals
    from ..search.run_directory import RunDirectory
    from ..search.session import SearchSettings, run_search
    from ..search.stopping import Limits
    from ..spaces import CompressionOptions
    from ..tasks import load_task
    from .progress import open_display
    from .quantities import parse_seconds

    options = CompressionOptions(importance, ranges, bias_correction, with_cp)
    max_wall_s, max_cpu_s = (None if each is None else parse_seconds(each) for each in (max_time, max_cpu))
    limits = Limits(max_wall_s, max_cpu_s, patience)
    loaded_task = load_task(task)
    profile, *others = (load_profile(each) for each in hardware)
    goals = parse_goals(objectives or (), constraints or (), [each.name for each in (profile, *others)])
    settings = SearchSettings(
        trials, finals, seed, sampler, options, shorts, promotion, goals, limits, remeasure, earlier
    )
    directory = RunDirectory(out or Path("runs") / loaded_task.name)
    try:
        names = " and ".join(each.name for each in (profile, *others))
        with open_display(f"{loaded_task.name} on {names}") as display:
            run_search(
                loaded_task,
                profile,
                settings,
                directory,
                on_status=display.on_status,
                progress=display.on_progress,
                others=others,
            )
    except KeyboardInterrupt:
        typer.echo("Stopped. Every ended trial is kept; the same command goes on from here.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    _conclude(directory.root)


def _conclude(directory: Path) -> None:
    """The closing summary: how much faster at what loss first, then the front, the time spent, the report."""
    from ..results import write_report
    from .tables import print_ending, print_front, print_rungs, print_screening, print_times

    run = _load(directory)
    report = write_report(run, directory / "report.html")
    typer.secho(f"\n{run.summary}\n", bold=True)
    print_front(run)
    print_ending(run)
    print_times(run)
    print_screening(run)
    print_rungs(run)
    typer.echo(f"Report: {report}")


@app.command()
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


@app.command()
def export(
    run: RunPath,
    to: Annotated[Path, typer.Option("--to", help="The file to write, for example model.onnx.")],
    pick: Annotated[
        str | None,
        typer.Option(
            help='knee, a trial number, or limits: "accuracy_drop<=1pt and size<=2MB" (the fastest within them).',
            show_default="the search's own limit on accuracy_drop, else 1pt",
        ),
    ] = None,
) -> None:
    """Write one member of the front as a deployable file, checked again after copying."""
    from ..results.export import export_member

    typer.echo(export_member(_load(run), pick, to))


@app.command()
def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="RUN/report.html")] = None,
) -> None:
    """Write the run as one self-contained HTML file."""
    from ..results import write_report

    typer.echo(f"Report: {write_report(_load(run), out or run / 'report.html')}")


@app.command()
def inspect(
    task: TaskName,
    hardware: Hardware = "cpu-ort-1t",
    max_latency_ms: Annotated[
        float | None, typer.Option("--max-latency-ms", metavar="MS", help="Say whether this latency can be met.")
    ] = None,
    min_speedup: Annotated[
        float | None, typer.Option("--min-speedup", metavar="X", help="Say whether it can be made X times as fast.")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Say whether this file size can be met: 200kB, 1MB."),
    ] = None,
    constraints: Constraints = None,
    with_cp: WithCp = False,
    shows_all: Annotated[bool, typer.Option("--all", help="Name every layer instead of the first few.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show what can be chosen, what it can reach at best, and what is left alone and why. Nothing is trained."""
    from ..evaluators.estimate import Targets
    from ..hardware_profiles import load_profile
    from ..search.goals import parse_goals
    from ..spaces import CompressionOptions
    from ..tasks import load_task
    from .inspection import inspect_task
    from .inspection_tables import print_inspection
    from .progress import open_display
    from .quantities import parse_bytes

    targets = Targets(max_latency_ms, min_speedup, None if max_size is None else parse_bytes(max_size))
    profile, loaded_task = load_profile(hardware), load_task(task)
    limits = parse_goals((), constraints or (), [profile.name]).constraints
    with open_display(f"inspecting {loaded_task.name} on {profile.name}") as display:
        inspection = inspect_task(
            loaded_task, profile, targets, display.on_progress, CompressionOptions(has_cp=with_cp), limits
        )
    if as_json:
        typer.echo(json.dumps(inspection.to_json(), indent=2))
        return
    if not inspection.is_trained:
        typer.echo("The baseline is not trained yet: ranks are those of random weights, and will differ.", err=True)
    print_inspection(inspection, shows_all=shows_all)


@app.command()
def compress(
    task: TaskName,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SITE=CHOICE",
            help="Repeatable. SITE may be a pattern, CHOICE a share of the width: 'bits/*=8', 'prune/*=50%'.",
        ),
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A configuration (JSON) that --set changes.")
    ] = None,
    hardware: Hardware = "cpu-ort-1t",
    fidelity: Annotated[
        str, typer.Option(metavar="FIDELITY", help="structure (nothing is trained), or the fine-tune short or full.")
    ] = "full",
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write.", show_default="TASK.onnx or TASK.pt2")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of training.")] = 0,
    importance: Importance = "l2",
    ranges: Ranges = "minmax",
    bias_correction: BiasCorrection = False,
    with_cp: WithCp = False,
) -> None:
    """Compress a network as you say: train, export and verify it, and measure it against the original."""
    from ..hardware_profiles import load_profile
    from ..hardware_profiles.runtimes import runtime_facts
    from ..spaces import CompressionOptions
    from ..tasks import load_task
    from .compression import Request, compress_task
    from .compression_tables import print_outcome
    from .progress import open_display

    options = CompressionOptions(importance, ranges, bias_correction, with_cp)
    loaded_task, profile = load_task(task), load_profile(hardware)
    target = to or Path(f"{loaded_task.name}{runtime_facts(profile.runtime.name).suffix}")
    request = Request(tuple(assignments or ()), start, fidelity, seed, target, options)
    with open_display(f"compressing {loaded_task.name} for {profile.name}") as display:
        outcome = compress_task(loaded_task, profile, request, display.on_progress)
    print_outcome(outcome, fidelity, target)


@app.command()
def nonlinearity(
    task: TaskName,
    lambdas: Annotated[
        str | None,
        typer.Option(
            metavar="L1,L2,...", help="Strengths of linearisation to sweep: the more, the fewer activations stay."
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(metavar="N", help="Find the strength that leaves at most N activations instead.")
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings per point; more of them make it surer.")] = 1,
    tolerance: Annotated[float, typer.Option(metavar="PT", help="Accuracy that may be lost, in points.")] = 1.0,
    training: Annotated[str, typer.Option(metavar="RECIPE", help="The task's recipe: short or full.")] = "full",
    scratch: Annotated[
        bool, typer.Option("--scratch/--no-scratch", help="Train each folded architecture from scratch as well.")
    ] = True,
    max_growth: Annotated[
        float, typer.Option(metavar="X", help="Most a merged layer may cost, as a multiple of its parts.")
    ] = 4.0,
    out: Annotated[
        Path | None, typer.Option(help="Directory; an existing one goes on.", show_default="runs/TASK-nonlinearity")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Find out how few activations a network needs: fold the others away, and see what that costs."""
    from ..evaluators.folded_point import SweepSettings
    from ..evaluators.nonlinearity_sweep import NonlinearitySweep
    from ..evaluators.sweep_directory import SweepDirectory
    from ..results.nonlinearity_report import write_nonlinearity_report
    from ..tasks import load_task
    from .nonlinearity import parse_strengths, print_nonlinearity
    from .progress import open_display

    settings = SweepSettings(
        parse_strengths(lambdas, budget),
        budget,
        seeds,
        tolerance,
        training=training,
        has_scratch=scratch,
        max_growth=max_growth,
    )
    loaded_task = load_task(task)
    directory = SweepDirectory(out or Path("runs") / f"{loaded_task.name}-nonlinearity")
    try:
        with open_display(f"non-linearity of {loaded_task.name}") as display:
            result = NonlinearitySweep(loaded_task, settings, directory, display.on_progress).run()
    except KeyboardInterrupt:
        typer.echo("Stopped. Every ended point is kept; the same command goes on from here.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    page = write_nonlinearity_report(result, directory.page)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
        return
    print_nonlinearity(result)
    typer.echo(f"Figure: {page}\nData: {directory.summary}")


def _load(directory: Path) -> Run:
    from ..results import load

    return load(directory)


for _commands in (app.registered_commands, hardware_app.registered_commands):
    for _command in _commands:
        assert _command.callback is not None
        _command.callback = accept_config(_command.callback)
