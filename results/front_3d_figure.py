"""The front in space: the two main costs on the floor, accuracy upwards. Drawn by WebGL."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..search.objectives import Objective
from .figure_style import BLUE, INK, VERMILLION, hover, message, new_figure
from .front_3d_data import Front3dData
from .front_data import FrontPoint
from .front_figure import log_ticks
from .goal_words import cost_words, profile_of

# WebGL draws half-transparent lines as good as not at all, so these are solid.
_PALE, _GRID = "#b4bac2", "#c9cfd6"
_COLOURS = {"dominated or less trained": _PALE, "front": BLUE, "baseline": INK}
_SIZES = {"dominated or less trained": 3, "baseline": 6}


def draw_front_3d(data: Front3dData) -> go.Figure:
    """Points to be turned with the mouse; a stem leads from each member to the lowest accuracy on show."""
    figure = new_figure(640)
    if data.front.baseline is None:
        return message(figure, "No front yet: the baseline has not been evaluated")
    if data.axis is None:
        return message(figure, "The search had two objectives: the flat picture shows them both")
    groups = data.points()
    for name, points in groups:
        figure.add_trace(_points_trace(name, points, data))
    heights = [each.accuracy.value for _, points in groups for each in points if each.accuracy is not None]
    standing = [each for name, points in groups if name not in _SIZES for each in points]
    figure.add_trace(_stems_trace(standing, data, min(heights)))
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 24, "b": 0},
        scene={
            "xaxis": _axis(data.front.axis, [point.cost.value for _, points in groups for point in points]),
            "yaxis": _axis(data.axis, [data.second[point.number] for _, points in groups for point in points]),
            "zaxis": {"title": {"text": "accuracy (%)"}, **_WALL},
            "aspectmode": "cube",
            "camera": {"eye": {"x": 1.45, "y": 1.45, "z": 0.8}, "center": {"x": 0, "y": 0, "z": -0.15}},
        },
    )
    return figure


def _points_trace(name: str, points: Sequence[FrontPoint], data: Front3dData) -> go.Scatter3d:
    return go.Scatter3d(
        x=[point.cost.value for point in points],
        y=[data.second[point.number] for point in points],
        z=[point.accuracy.value for point in points if point.accuracy is not None],
        mode="markers",
        name=name,
        marker={"size": _SIZES.get(name, 5), "color": _COLOURS.get(name, VERMILLION)},
        hovertext=[hover(list(point.lines)) for point in points],
        hoverinfo="text",
    )


def _stems_trace(points: Sequence[FrontPoint], data: Front3dData, floor: float) -> go.Scatter3d:
    """One trace of many lines: None parts them."""
    heights = [point.accuracy.value for point in points if point.accuracy is not None]
    return go.Scatter3d(
        x=[x for point in points for x in (point.cost.value, point.cost.value, None)],
        y=[y for point in points for y in (data.second[point.number], data.second[point.number], None)],
        z=[z for height in heights for z in (height, floor, None)],
        mode="lines",
        line={"color": _PALE, "width": 3},
        hoverinfo="skip",
        showlegend=False,
    )


_WALL = {"gridcolor": _GRID, "showbackground": False, "showline": True, "linecolor": _GRID}


def _axis(axis: Objective, values: Sequence[float]) -> dict[str, object]:
    words, ticks = cost_words(axis), log_ticks(min(values) / 1.1, max(values) * 1.1)
    title = f"{words.noun}{profile_of(axis)} ({words.unit})"
    shown = {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
    return {"title": {"text": title}, "type": "log", **shown, **_WALL}
