"""The command that trains a network by a compression schedule."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import EXIT_INTERRUPTED
from .options import Hardware, TaskName
from .output import AsJson, print_json


def train(
    task: TaskName,
    schedule: Annotated[
        Path, typer.Option("--schedule", metavar="FILE", help="What is done, in which order and at which rates (YAML).")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory; an existing one goes on.", show_default="runs/TASK-FILE"),
    ] = None,
    hardware: Hardware = "cpu-ort-1t",
    as_json: AsJson = False,
) -> None:
    """Prune, share and round weights by a schedule of your own, and pack what comes of it into a small file."""
    from ..hardware_profiles import load_profile
    from ..tasks import load_task
    from .progress import open_display
    from .scheduled import read_schedule, train_by_schedule
    from .scheduled_tables import print_outcome

    plan, loaded_task, profile = read_schedule(schedule), load_task(task), load_profile(hardware)
    directory = out or Path("runs") / f"{loaded_task.name}-{schedule.stem}"
    try:
        with open_display(f"training {loaded_task.name} by {schedule.name}") as display:
            outcome = train_by_schedule(loaded_task, profile, plan, directory, display.on_progress)
    except KeyboardInterrupt:
        typer.echo("Stopped. Every ended training is kept; the same command goes on from here.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    if as_json:
        print_json(outcome.to_json())
        return
    print_outcome(outcome, directory)
