"""The command dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..hardware_profiles.errors import SearchError


def dashboard(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of runs and sweeps, or one run.")] = Path(
        "runs"
    ),
    host: Annotated[str, typer.Option(help="Address to listen at; others than this machine can then look.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65535)] = 8050,
) -> None:
    """Show the runs of a folder in a browser, and follow those that still run."""
    if not folder.is_dir():
        raise SearchError(f"a dashboard is for a folder of runs, got {str(folder)!r}, which is none: name one")
    from ..results.dashboard import build_dashboard
    from ..results.dashboard_server import is_loopback, listen, names_of
    from .console import warn

    if not is_loopback(host):
        warn(f"--host {host} lets everybody who reaches this address look at the runs: there is no password")
    server = listen(build_dashboard(folder, names=names_of(host), reads_ahead=True), host, port)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Dashboard: http://{shown}:{server.port}/ (Ctrl+C ends it)")
    server.serve_forever()
