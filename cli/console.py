"""Where tables and sentences are printed. Rich leaves colours out where there is no terminal, or NO_COLOR is set."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

MIN_WIDTH = 120
"""Columns assumed where the output is not a terminal, so that a file or a pipe holds whole rows."""
NARROW = 100
"""Columns of a terminal below which tables have no room to be airy."""


def open_console() -> Console:
    """The output stream: as wide as the terminal, and wide enough for whole rows where it is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(MIN_WIDTH, console.width))


def open_table(console: Console, **options: Any) -> Table:
    """A table without rows and columns, whose columns stand close together in a narrow terminal.

    Args:
        console: Where it will be printed.
        options: As `Table` takes them.
    """
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if console.width < NARROW else 1), **options)


def print_sentence(sentence: str, style: str = "") -> None:
    """A sentence on the output stream, broken between words in a terminal and in one line elsewhere."""
    console = open_console()
    console.print(Text(sentence, style=style), soft_wrap=not console.is_terminal)


def warn(sentence: str) -> None:
    """A warning on the error stream, in one line."""
    complain(f"warning: {sentence}", "yellow")


def complain(line: str, style: str) -> None:
    """A line on the error stream, of any length."""
    Console(stderr=True, highlight=False).print(Text(line, style=style), soft_wrap=True)
