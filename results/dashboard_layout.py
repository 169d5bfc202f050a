"""The dashboard's page before anything is known: places for what the server sends."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from .dashboard_front import HEIGHT
from .page import read_resource

TITLE = "parefront dashboard"
ALL, ONE, SWEEP = "all", "one", "sweep"
"""Kinds of page."""
GRAPH: Any = {  # Dash writes the type of a component's settings down for itself only
    "responsive": True,
    "displaylogo": False,
    # Plotly offers to upload the chart unless told otherwise; a page stays where it is.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
<link rel="icon" href="data:,">
{%css%}
<style>
STYLE
</style>
</head>
<body>
{%app_entry%}
<footer>
{%config%}
{%scripts%}
{%renderer%}
</footer>
</body>
</html>"""
THEME = """(n) => {
  const root = document.documentElement;
  if (n === undefined) return matchMedia("(prefers-color-scheme: dark)").matches ? "Light" : "Dark";
  const isDark = (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"))
    === "dark";
  root.style.colorScheme = isDark ? "light" : "dark";
  return isDark ? "Dark" : "Light";
}"""
"""What the button for light and dark does, in the browser; it answers what it would do next."""


def page_template() -> str:
    """The document around the components, with the report's style and the dashboard's own."""
    return _PAGE.replace("STYLE", read_resource("report.css") + read_resource("dashboard.css"))


def page_layout(interval_ms: int) -> html.Div:
    """All components.

    Args:
        interval_ms: How often the browser asks for what is new.
    """
    return html.Div(
        [
            dcc.Location(id="address", refresh="callback-nav"),
            dcc.Interval(id="tick", interval=interval_ms),
            dcc.Store(id="revision"),
            html.Header(
                html.Div(
                    [
                        html.P("parefront", className="brand"),
                        html.Div(
                            [dcc.Link("All runs", href="/"), html.Button("Dark", id="theme", type="button")],
                            className="tools",
                        ),
                    ],
                    className="bar-top",
                )
            ),
            html.Main(html.Div(all_runs(), id="page")),
        ]
    )


def all_runs() -> list[Any]:
    """The page of all runs, without a picture: so it can be read before a browser has loaded what draws them."""
    listing = html.Section([html.H1("Runs"), html.Div("Reading the runs ...", id="runs")])
    return [dcc.Store(id="kind", data=ALL), html.Div([listing, html.Div(id="comparison-place")], id="all")]


def comparison() -> html.Section:
    """The place of the fronts of several runs."""
    return html.Section(
        [html.H2("Beside each other"), _graph("comparison", 460), html.P(id="caution", className="note")],
        id="comparison-box",
    )


def one_run() -> list[Any]:
    """The page of one run."""
    limits = html.Div(
        [
            html.Label("Only within", htmlFor="limits"),
            dcc.Input(id="limits", debounce=True, placeholder="accuracy_drop<=1pt, size<=200kB", value=""),
            html.Span(id="within", className="note", role="status"),
        ],
        id="limits-form",
    )
    front = html.Div([_graph("front", HEIGHT), html.P(id="front-note", className="note")])
    beside = html.Div([front, html.Div(id="trial", role="status")], className="beside")
    figures = html.Section(
        [
            html.H2("Figures"),
            html.Div(id="figure-names"),
            html.Div(_graph("further", 320), style={"overflowX": "auto"}),
        ]
    )
    listed = html.Section([html.H2("Trials"), html.Div(id="trials")], id="list")
    shown = [html.Div(id="head"), html.Div([limits, beside, html.Div(id="layers"), figures, listed], id="body")]
    return [dcc.Store(id="kind", data=ONE), dcc.Store(id="drawn"), html.Div(shown, id="one")]


def one_sweep() -> list[Any]:
    """The page of one sweep: what it holds is known when the sweep is."""
    return [dcc.Store(id="kind", data=SWEEP), html.Div("Reading the sweep ...", id="sweep")]


def _graph(name: str, height: int) -> dcc.Graph:
    empty = {"data": [], "layout": {"xaxis": {"visible": False}, "yaxis": {"visible": False}}}
    return dcc.Graph(id=name, figure=empty, config=GRAPH, responsive=True, style={"height": f"{height}px"})
