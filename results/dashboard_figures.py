"""The dashboard's further figures, one at a time, and what of a figure changed."""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go
from dash import Patch

from .dashboard_address import Selection
from .dashboard_markup import go_to
from .load import Run
from .markup import Html, element, join
from .run_figures import RunFigures

OF_TRIAL = ("layers", "network")
FIRST = "hypervolume"
_TITLES = {
    "hypervolume": "hypervolume",
    "hypervolume-time": "over time",
    "decisions": "decisions",
    "parallel": "all decisions",
    "layers": "layers",
    "network": "network",
    "prediction": "predictions",
    "fidelity": "fidelities",
    "sensitivity": "sensitivity",
    "time": "time",
    "profiles": "profiles",
}
"""What can be asked for, and how it is called on the page; the front in space needs WebGL, which this goes without."""


def figure_choices(selection: Selection) -> Html:
    """A link to each of the figures."""
    shown = selection.figure if selection.figure in _TITLES else FIRST
    links = [
        element("strong", title) if name == shown else go_to(selection.but(figure=name), title)
        for name, title in _TITLES.items()
    ]
    return element("p", join(links, " "), "note names")


def further_figure(run: Run, name: str, trial: int | None) -> go.Figure:
    """One of the run's figures; of one configuration those of the chosen trial, else of the pick.

    Args:
        run: With an evaluated baseline, or the figure says what is missing.
        name: From `figure_choices`; anything else gives the first one.
        trial: Number of the chosen trial.
    """
    figures = RunFigures(run)
    name = name if name in _TITLES else FIRST
    if name in OF_TRIAL and trial is not None:
        return figures.of_trial(name, trial)
    return figures[name]


def plain_figure(figure: go.Figure) -> dict[str, Any]:
    """The figure as JSON has it, so that two can be compared."""
    content: dict[str, Any] = json.loads(figure.to_json())
    return content


def what_changed(before: dict[str, Any] | None, after: dict[str, Any]) -> Any:  # Dash has no types of its own.
    """What a browser that shows one figure must be told to show another: a patch, or the whole of it.

    Args:
        before: What it shows; None where nothing.
        after: What it is to show.
    """
    if before is None or len(before["data"]) != len(after["data"]):
        return after
    patch = Patch()
    for i, (old, new) in enumerate(zip(before["data"], after["data"], strict=True)):
        if old != new:
            patch["data"][i] = new
    if before["layout"] != after["layout"]:
        patch["layout"] = after["layout"]
    return patch
