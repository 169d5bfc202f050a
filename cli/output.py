"""What programs read: every listing as JSON or CSV, and nothing else on the output stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..hardware_profiles.errors import SearchError

if TYPE_CHECKING:
    import pandas as pd

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable: JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Machine-readable: CSV with a line of headings.")]


def check_formats(*, as_json: bool, as_csv: bool) -> None:
    """Refuses both formats at once.

    Raises:
        SearchError: Both were asked for.
    """
    if as_json and as_csv:
        raise SearchError("a listing has one format, but both --json and --csv were given: leave one out")


def print_json(content: Any) -> None:
    """Plain data as JSON."""
    typer.echo(json.dumps(content, indent=2))


def print_frame(table: pd.DataFrame, *, has_index: bool = True) -> None:
    """A table as CSV."""
    typer.echo(table.to_csv(index=has_index), nl=False)


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Plain records of the same keys as CSV; a list becomes its items with spaces or semicolons between."""
    import pandas as pd

    flat = [{name: _cell(value) for name, value in row.items()} for row in rows]
    print_frame(pd.DataFrame(flat), has_index=False)


def _cell(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    words = [str(each) for each in value]
    return ("; " if any(" " in word for word in words) else " ").join(words)
