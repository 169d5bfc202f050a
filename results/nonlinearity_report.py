"""One self-contained HTML file that says how few activations a network needs."""

from __future__ import annotations

from pathlib import Path
from string import Template

from ..evaluators.nonlinearity import Nonlinearity
from .markup import as_html, definitions, element, table
from .nonlinearity_figure import activations_data, depth_data, draw_nonlinearity
from .nonlinearity_summary import HEADINGS, budget_line, confidence, headline, rows, survivors
from .page import figure_slot, page_parts, read_resource, write_page


def write_nonlinearity_report(result: Nonlinearity, page: Path) -> Path:
    """Writes the page; it needs no network and no other file.

    Args:
        result: The sweep.
        page: The HTML file; its directory is made where it is missing.

    Returns:
        The path.
    """
    return write_page(_render(result), page)


def _render(result: Nonlinearity) -> str:
    facts = {"Confidence": confidence(result), "Training": f"{result.settings.training} recipe, twice"}
    if budget_line(result):
        facts["Budget"] = budget_line(result)
    left_alone = [(each.name, each.reason) for each in result.foldable.left_alone]
    activations, depth = draw_nonlinearity(activations_data(result)), draw_nonlinearity(depth_data(result))
    return Template(read_resource("nonlinearity.html")).substitute(
        **page_parts(),
        task=as_html(result.task),
        headline=as_html(headline(result)),
        facts=definitions(facts),
        activations_figure=figure_slot(
            activations, "activations-figure", "Accuracy against the number of activations left"
        ),
        depth_figure=figure_slot(depth, "depth-figure", "Accuracy against depth"),
        table=table(HEADINGS, rows(result), "numbers"),
        survivors=table(("activation", "stayed in"), survivors(result), "numbers"),
        left_alone=table(("activation", "reason"), left_alone) if left_alone else element("p", "Every one could go."),
    )
