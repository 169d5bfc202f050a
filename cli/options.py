"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A built-in task; MODEL@cifar10, MODEL@cifar100 or MODEL@images:FOLDER with a torchvision model; "
        "or a Python file: my_task.py[:function].",
    ),
]


def complete_profile(incomplete: str) -> list[str]:
    """The shipped profiles that begin so, for the shell; where none does, it offers files."""
    from ..hardware_profiles import profile_names

    return [name for name in profile_names() if name.startswith(incomplete)]


Hardware = Annotated[
    str,
    typer.Option("--hardware", metavar="HW", help="A profile's name, or a YAML file.", autocompletion=complete_profile),
]
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
        autocompletion=complete_profile,
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
WithOperators = Annotated[
    bool,
    typer.Option(
        "--operators", help="Offer other operators for convolutions: 1 x 1, depthwise-separable, Fire modules."
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="TECHNIQUE",
        help="Repeatable: offer these techniques alone, of fold, rank, prune, bits, operator, sparsity and code.",
        show_default="all that the other options offer",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run (--out of the search).")]
