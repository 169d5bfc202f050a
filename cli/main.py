"""The command line: thin commands over the packages. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from .compare import compare, runs
from .config import accept_config
from .dashboard import dashboard
from .errors import run_program
from .exporting import export, verify
from .hardware import hardware_app
from .networks import compress, inspect, nonlinearity
from .runs import front, report
from .search import search
from .sweep import sweep_app
from .train import train
from .trials import show, trials

app = typer.Typer(
    help="The Pareto front of your own network: accuracy against measured latency and size.",
    epilog="Exit codes: 0 done; 1 refused or failed, with one line on the error stream; 3 too noisy (`hardware "
    "check`); 130 interrupted, with all that had ended kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(hardware_app, name="hardware")
app.add_typer(sweep_app, name="sweep")


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


_COMMANDS = (
    search,
    front,
    show,
    trials,
    compare,
    runs,
    export,
    verify,
    report,
    dashboard,
    inspect,
    compress,
    train,
    nonlinearity,
)
for _function in _COMMANDS:
    app.command()(_function)

for _commands in (app.registered_commands, hardware_app.registered_commands):
    for _command in _commands:
        assert _command.callback is not None
        _command.callback = accept_config(_command.callback)
