"""Where tables are printed."""

from __future__ import annotations

from rich.console import Console

MIN_WIDTH = 120
"""Columns assumed where the output is not a terminal, so that a file or a pipe holds whole rows."""


def open_console() -> Console:
    """The output stream: as wide as the terminal, and wide enough for whole rows where it is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(MIN_WIDTH, console.width))
