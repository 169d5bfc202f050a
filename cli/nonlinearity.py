"""What `nonlinearity` does: reads the numbers people type, sweeps, and shows how few activations are enough."""

from __future__ import annotations

from rich import box
from rich.table import Table

from ..evaluators.nonlinearity import Nonlinearity
from ..hardware_profiles.errors import SearchError
from ..results.nonlinearity_summary import HEADINGS, budget_line, confidence, headline, rows, survivors
from .console import open_console
from .inspection_tables import word_names

NARROW = 100
"""Columns of a terminal below which the table leaves out what stands in the file."""
_WIDE_ONLY = frozenset({"before %", "test drop"})


def parse_strengths(text: str | None, budget: int | None) -> tuple[float, ...] | None:
    """Strengths such as `0.1,0.25,1`; None, for those that suit the training, where nothing is given.

    Args:
        text: As it was typed, or None.
        budget: Where it is given, the strengths are found by bisection, and cannot be given too.

    Raises:
        SearchError: No numbers, or both were given.
    """
    if text is None:
        return None
    if budget is not None:
        raise SearchError("either --lambdas or --budget must be given, got both: leave one out")
    words = [word for word in text.replace(" ", "").split(",") if word]
    try:
        return tuple(map(float, words))
    except ValueError as error:
        raise SearchError(f"--lambdas must be numbers with commas between, got {text!r}: write 0.1,0.25,1") from error


def print_nonlinearity(result: Nonlinearity) -> None:
    """The answer, how sure it is, every point, and which activations stay."""
    console = open_console()
    console.print(f"\n{headline(result)}", style="bold", markup=False, soft_wrap=True)
    for line in (confidence(result), budget_line(result)):
        if line:
            console.print(line, markup=False)
    left_out = _WIDE_ONLY if console.width < NARROW else frozenset()
    if not result.settings.has_scratch:
        left_out |= {"scratch %"}
    console.print(_table(result, left_out))
    gone = [name for name, share in survivors(result) if share.startswith("0 of ")]
    if gone:
        console.print(f"Gone in every network: {word_names(gone)}", markup=False)
    stay = [each.name for each in result.foldable.left_alone]
    if stay:
        console.print(f"Could not go: {word_names(stay)}", markup=False)


def _table(result: Nonlinearity, left_out: frozenset[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    kept = [i for i, heading in enumerate(HEADINGS) if heading not in left_out]
    for i in kept:
        table.add_column(HEADINGS[i], justify="right")
    numbers = {(f"{point.strength:g}", str(point.seed)) for point in result.at_degree()}
    for row in rows(result):
        table.add_row(*(row[i] for i in kept), style="bold green" if row[:2] in numbers else None)
    return table
