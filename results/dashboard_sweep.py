"""The dashboard's page of one sweep: its searches, and on each hardware what they found together."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from .dashboard_address import Selection
from .dashboard_figures import plain_figure
from .dashboard_layout import GRAPH
from .dashboard_markup import go_to, to_components
from .markup import element, join, table
from .run_catalogue import ITSELF
from .sweep import Sweep, sweep_rows
from .sweep_figure import draw_sweep_front
from .sweep_fronts import SweepFront, sweep_fronts
from .sweep_report import HEAD, failed_searches, front_caption, row_cells, sweep_facts, sweep_line

HEIGHT = 440


def sweep_page(sweep: Sweep, name: str) -> list[Any]:
    """All components of the page.

    Args:
        sweep: Finished or not.
        name: Of the sweep among those of the dashboard's folder; names of its runs begin with it.
    """
    rows = sweep_rows(sweep)
    driver = f" · {sweep.driver} runs it" if sweep.driver else ""
    shown = sweep.directory.root.resolve().name
    title = element("p", join(["Sweep ", element("strong", shown), driver]), "name")
    head = join([title, element("h1", sweep_line(sweep)), sweep_facts(sweep, rows)])
    cells = [[_linked(sweep, name, row.name), *row_cells(row)] for row in rows]
    searches = element("section", join([element("h2", "All searches"), table(HEAD, cells, "numbers")]))
    return [
        html.Div(to_components(head), id="sweep-head"),
        *_sections(sweep_fronts(sweep)),
        *to_components(join([searches, failed_searches(rows)])),
    ]


def _linked(sweep: Sweep, name: str, search: str) -> object:
    """A search's name; where it has begun, with the way to its page."""
    if not sweep.directory.run(search).manifest.is_file():
        return search
    return go_to(Selection(run=search if name == ITSELF else f"{name}/{search}"), search)


def _sections(fronts: list[SweepFront]) -> list[Any]:
    """One for each hardware, with a figure for each task."""
    if not fronts:
        return to_components(element("p", "No front yet: no search has evaluated its baseline.", "note"))
    sections = []
    for hardware in dict.fromkeys(front.hardware for front in fronts):
        figures = [_figure(front, i) for i, front in enumerate(fronts) if front.hardware == hardware]
        sections.append(html.Section([html.H2(f"On {hardware}"), *figures]))
    return sections


def _figure(front: SweepFront, number: int) -> Any:
    drawn = plain_figure(draw_sweep_front(front, HEIGHT).update_layout(uirevision=f"{front.task} {front.hardware}"))
    place = dcc.Graph(
        id=f"sweep-front-{number}", figure=drawn, config=GRAPH, responsive=True, style={"height": f"{HEIGHT}px"}
    )
    return html.Div([place, html.P(front_caption(front), className="note")])
