"""The picture of a sweep's front: every search's members by setting, and the line of the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from .figure_style import BLUE, FAINT, VERMILLION, hover, new_figure, plain
from .front_figure import log_ticks
from .goal_words import cost_words, profile_of
from .sweep_fronts import SweepFront, SweepPoint

_COLOURS = (BLUE, VERMILLION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of settings; distinct under every common colour blindness (Okabe and Ito 2008), then again with other markers."""
_MARKERS = ("circle", "square", "triangle-up", "cross")
_BEST_SIZE, _OTHER_SIZE = 11, 7
MAX_DROP_SHOWN = 10.0
"""Members that lose more points than this are out of view, or they would flatten the rest."""


def draw_sweep_front(front: SweepFront, height: int = 440) -> go.Figure:
    """The picture, `height` pixels high; a double click shows what is out of view."""
    figure = new_figure(height)
    figure.add_trace(_line(front.points))
    for position, (setting, n_best, n_searches) in enumerate(front.shares):
        noun = "search" if n_searches == 1 else "searches"
        name = f"{plain(setting)} ({n_searches} {noun}, {n_best} in the front)"
        points = [point for point in front.points if point.setting == setting]
        colour = _COLOURS[position % len(_COLOURS)]
        marker = _MARKERS[position // len(_COLOURS) % len(_MARKERS)]
        figure.add_trace(_points(points, name, colour, marker))
    _finish_axes(figure, front)
    return figure


def envelope(points: Sequence[SweepPoint]) -> list[tuple[float, float]]:
    """(cost, accuracy in %) from cheap to accurate: the best accuracy at that cost or less, where it rises."""
    corners: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: (point.cost.value, -point.accuracy.value)):
        if not corners or point.accuracy.value > corners[-1][1]:
            corners.append((point.cost.value, point.accuracy.value))
    return corners


def _line(points: Sequence[SweepPoint]) -> go.Scatter:
    corners = envelope([point for point in points if point.is_best])
    return go.Scatter(
        x=[x for x, _ in corners],
        y=[y for _, y in corners],
        mode="lines",
        line={"shape": "hv", "color": FAINT, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )


def _points(points: Sequence[SweepPoint], name: str, colour: str, marker: str) -> go.Scatter:
    return go.Scatter(
        x=[point.cost.value for point in points],
        y=[point.accuracy.value for point in points],
        mode="markers",
        name=name,
        marker={
            "color": colour,
            "symbol": marker,
            "size": [_BEST_SIZE if point.is_best else _OTHER_SIZE for point in points],
            "opacity": [0.9 if point.is_best else 0.35 for point in points],
        },
        hovertext=[hover(list(point.lines)) for point in points],
        hoverinfo="text",
    )


def _finish_axes(figure: go.Figure, front: SweepFront) -> None:
    costs = [point.cost.value for point in front.points]
    # A margin of 15 % keeps the outer markers whole.
    low, high = min(costs) / 1.15, max(costs) * 1.15
    shown = [p.accuracy.value for p in front.points if p.drop <= MAX_DROP_SHOWN]
    shown = shown or [point.accuracy.value for point in front.points]
    margin = 0.1 * max(max(shown) - min(shown), 1.0)
    words, ticks = cost_words(front.axis), log_ticks(low, high)
    figure.update_layout(
        showlegend=True,
        legend={"itemsizing": "constant"},
        xaxis={
            "type": "log",
            "title": {"text": f"{words.noun}{profile_of(front.axis)} ({words.unit}, log scale)"},
            "range": [math.log10(low), math.log10(high)],  # a log axis takes its range in powers of ten
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
        },
        yaxis={
            "title": {"text": "accuracy (%, validation)"},
            "range": [min(shown) - margin, max(shown) + margin],
        },
    )
