"""docs/report.md names the figures that there are."""

import re
from pathlib import Path

from parefront.results import Run
from parefront.results import figures as functions

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def test_every_figure_is_in_the_table(run: Run) -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert named == [*(name for name in run.figures if "importance" not in name), "importance-OBJECTIVE"]


def test_the_functions_that_it_names_are_there() -> None:
    for name in ("compare_runs", "draw_comparison", "front_data", "draw_front"):
        assert f"`{name}`" in PAGE
        assert hasattr(functions, name)
