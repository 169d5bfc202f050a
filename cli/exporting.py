"""The commands about models to deploy: export and verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RunPath

if TYPE_CHECKING:
    from ..tasks import Task

_Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="What was compressed, as in the search: it builds the network where a format needs that. Not for built-in "
        "tasks.",
    ),
]


def export(
    run: RunPath,
    to: Annotated[Path, typer.Option("--to", help="The file to write, for example model.onnx; for weights a folder.")],
    pick: Annotated[
        str | None,
        typer.Option(
            help='knee, fastest, smallest, a trial number, or limits: "accuracy_drop<=1pt and size<=2MB" (the fastest '
            'within them), "smallest: accuracy_drop<=1pt".',
            show_default="the search's own limit on accuracy_drop, else 1pt",
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="onnx (.onnx), torch (a torch.export program, .pt2), openvino (.xml), pare (.pare, the smallest file) "
            "or weights (a folder with arrays and a recipe).",
            show_default="by the suffix",
        ),
    ] = None,
    task: _Task = None,
) -> None:
    """Write one member of the front as a model to deploy, loaded again and checked, with a card beside it."""
    from ..results import load
    from ..results.export import export_member

    typer.echo(export_member(load(run), pick, to, format_name=format_name, task=_load_task(task)))


def verify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An exported file, or an exported folder of weights.")],
    task: _Task = None,
) -> None:
    """Check anywhere that an exported model is as it was written and gives the same outputs (exit code 0, else 1)."""
    from ..results.verify import verify as verify_model

    typer.echo(verify_model(model, _load_task(task)))


def _load_task(name: str | None) -> Task | None:
    if name is None:
        return None
    from ..tasks import load_task

    return load_task(name)
