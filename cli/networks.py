"""The commands that look at a network or change it without a search: inspect, compress, nonlinearity."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import EXIT_INTERRUPTED
from .options import BiasCorrection, Constraints, Hardware, Importance, Ranges, TaskName, WithCp, WithOperators
from .output import AsJson, check_formats, print_json, print_rows


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
    with_operators: WithOperators = False,
    with_stored: Annotated[
        bool,
        typer.Option("--stored", help="Show what acts on the stored size too: zero weights and codes of few bits."),
    ] = False,
    shows_all: Annotated[bool, typer.Option("--all", help="Name every layer instead of the first few.")] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Machine-readable: the sites as CSV, a row for each.")] = False,
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

    check_formats(as_json=as_json, as_csv=as_csv)
    targets = Targets(max_latency_ms, min_speedup, None if max_size is None else parse_bytes(max_size))
    profile, loaded_task = load_profile(hardware), load_task(task)
    limits = parse_goals((), constraints or (), [profile.name]).constraints
    with open_display(f"inspecting {loaded_task.name} on {profile.name}") as display:
        inspection = inspect_task(
            loaded_task,
            profile,
            targets,
            display.on_progress,
            CompressionOptions(has_cp=with_cp, has_stored=with_stored, has_operators=with_operators),
            limits,
        )
    if as_json:
        print_json(inspection.to_json())
        return
    if as_csv:
        print_rows(inspection.to_json()["sites"])
        return
    if not inspection.is_trained:
        typer.echo("The baseline is not trained yet: ranks are those of random weights, and will differ.", err=True)
    print_inspection(inspection, shows_all=shows_all)


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
    as_json: AsJson = False,
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
        print_json(result.to_json())
        return
    print_nonlinearity(result)
    typer.echo(f"Figure: {page}\nData: {directory.summary}")
