"""One self-contained HTML file that says what a run found."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template

import plotly.graph_objects as go
import plotly.offline

from ..search.objectives import MAX_RATIO
from . import report_sections as sections
from . import why_sections
from .figures import decisions_data, draw_decisions, draw_front, draw_hypervolume, front_data, hypervolume_data
from .goal_words import costs, word_box
from .importance import importances
from .importance_figure import draw_importance, importance_data
from .load import Run
from .markup import Html, as_html, element, join

_FIGURE_OPTIONS = {
    "responsive": True,
    "displaylogo": False,
    # Plotly 7 offers to upload the chart unless told otherwise; a report stays where it is.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


def write_report(run: Run, path: Path | str) -> Path:
    """Writes the report; it needs no network and no other file but the models it links to.

    Args:
        run: Finished or not.
        path: The HTML file; its directory is made where it is missing.

    Returns:
        The path.
    """
    page = Path(path)
    page.parent.mkdir(parents=True, exist_ok=True)
    partial = page.with_name(f".{page.name}.partial")
    partial.write_text(_render(run, page.parent), encoding="utf-8")
    partial.replace(page)  # a reader never sees half a report
    return page


def _render(run: Run, page_directory: Path) -> str:
    task, hardware = run.manifest.get("task", "unknown task"), run.manifest.get("hardware", "unknown hardware")
    main = front_data(run.trials, run.goals)
    return Template(read_resource("report.html")).substitute(
        css=read_resource("report.css"),
        plotly_js=plotly.offline.get_plotlyjs(),
        task=as_html(task),
        hardware=as_html(hardware),
        summary=as_html(run.summary),
        facts=sections.facts(run),
        front_figure=embed(draw_front(main), "front-figure"),
        front_label=sections.front_label(main),
        front_caption=sections.front_caption(main),
        further_fronts=_further_fronts(run),
        front_table=sections.front_table(run, page_directory),
        decisions_figure=embed(draw_decisions(decisions_data(run)), "decisions-figure"),
        why=why_sections.why_list(run),
        importance=_importance(run),
        hypervolume_figure=embed(draw_hypervolume(hypervolume_data(run.trials, run.goals)), "hypervolume-figure"),
        box=f"from the baseline to {word_box(run.objectives, MAX_RATIO)}",
        time=sections.time_bars(run),
        failed=sections.failed_table(run.trials),
        settings=sections.settings(run),
        fingerprint=sections.fingerprint(run),
        profile=sections.profile(run),
    )


def _further_fronts(run: Run) -> Html:
    """A picture for each objective that the first one has no room for: accuracy, the main cost and a second one."""
    figures = []
    for position, axis in enumerate(costs(run.objectives)[2:]):
        data = front_data(run.trials, run.goals, axis)
        drawn = Html(embed(draw_front(data, height=380), f"front-figure-{position + 2}"))
        figures.append(element("figure", join([drawn, element("figcaption", sections.front_label(data))])))
    return join(figures)


def _importance(run: Run) -> Html:
    found = importances(run.trials, run.sites, run.objectives)
    figures = [
        Html("" if each.reason else embed(draw_importance(importance_data(each)), f"importance-{i}"))
        for i, each in enumerate(found)
    ]
    return why_sections.importance_charts(found, figures)


def embed(figure: go.Figure, name: str) -> str:
    """The figure as a piece of the page, drawn by the one copy of Plotly in its head."""
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config=_FIGURE_OPTIONS,
        default_height=f"{figure.layout.height}px",
    )
    return text


def read_resource(name: str) -> str:
    """The text of a file that comes with this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
