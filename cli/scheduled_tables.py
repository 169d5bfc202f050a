"""The outcome of `train --schedule` for the terminal: one sentence, then the network behind each stage."""

from __future__ import annotations

from pathlib import Path

from ..evaluators.scheduled import PACKED, STATE, SUMMARY, Outcome
from ..results.wording import word_bytes, word_ratio
from .console import open_console, open_table

HEADINGS = ("stage", "does", "accuracy %", "weights kept", "bits", "tensors")


def print_outcome(outcome: Outcome, out: Path) -> None:
    """The headline, a row per stage, and what was written."""
    console = open_console()
    console.print(f"\n{headline(outcome)}\n", style="bold", markup=False, soft_wrap=True)
    table = open_table(console)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
    for row in rows(outcome):
        table.add_row(*row)
    console.print(table)
    written = ", ".join(str(out / name) for name in (PACKED, STATE, SUMMARY))
    console.print(f"Written: {written}", markup=False, soft_wrap=True)


def headline(outcome: Outcome) -> str:
    """How much smaller the file is, and at what loss, in one sentence."""
    ratio = outcome.stages[0].size_bytes / outcome.file_bytes
    change = outcome.test_accuracy - outcome.reference_test_accuracy
    return (
        f"{word_ratio(ratio)} smaller: {word_bytes(outcome.file_bytes)} instead of "
        f"{word_bytes(outcome.stages[0].size_bytes)}; test accuracy {outcome.test_accuracy:.2f} %, {change:+.2f} pt "
        "against the better of the uncompressed ones"
    )


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """Cells under `HEADINGS`; accuracies are of the validation split."""
    stages = [
        (
            *(stage.name, stage.does, f"{stage.accuracy:.2f}", f"{stage.kept_share:.1%}", f"{stage.bits:.1f}"),
            word_bytes(stage.size_bytes),
        )
        for stage in outcome.stages
    ]
    return [*stages, ("as a file", "", f"{outcome.accuracy:.2f}", "", "", word_bytes(outcome.file_bytes))]
