"""The front: accuracy against measured latency, or another cost, the area of a bubble its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ..evaluators.evaluator import Score
from .figure_style import BLUE, BLUE_GLASS, CLEAR, FAINT, INK, VERMILLION, VERMILLION_GLASS, hover, message, new_figure
from .front_data import FrontData, FrontPoint
from .goal_words import cost_words, profile_of

LARGEST_BUBBLE = 38
"""Diameter in pixels of the largest file on show."""
SMALLEST_BUBBLE = 6
"""So that a tiny file can still be pointed at."""
EVEN_BUBBLES = 7.0
"""How many times the area of a bubble the largest would have, where all are alike."""
DROP_LIMIT = "drop-limit"
"""Name of the line that shows how much may be lost, by which a page moves it."""
LABEL_WIDTH, LABEL_HEIGHT = 0.035, 0.04
"""Room that a label needs, as shares of the picture."""


def draw_front(data: FrontData, height: int = 560) -> go.Figure:
    """The picture, `height` pixels high; zoomed to networks of some worth, a double click shows all."""
    figure = new_figure(height)
    if data.baseline is None:
        return message(figure, "No front yet: the baseline has not been evaluated")
    figure.add_trace(_envelope_trace(data.envelope))
    largest = max(point.area for point in _bubbles(data)) * (1.0 if data.area else EVEN_BUBBLES)
    for points, name, style in (
        (data.others, "dominated or less trained", _OTHER_STYLE),
        (data.members, "front", _MEMBER_STYLE),
        (_some(data.pick), data.pick_words, _PICK_STYLE),
        (_some(data.baseline), "baseline", _BASELINE_STYLE),
    ):
        if points:
            figure.add_trace(_bubble_trace(points, name, style, largest))
    if data.closed:
        figure.add_trace(_rug_trace(data.closed))
    figure.update_layout(legend={"itemsizing": "constant"})  # or small numbers would be circles of one pixel there
    _finish_axes(figure, data)
    _label(figure, data)
    return figure


_OTHER_STYLE = {"color": FAINT, "line": {"width": 0}, "opacity": 0.45}
_MEMBER_STYLE = {"color": BLUE_GLASS, "line": {"width": 1.5, "color": BLUE}}
_BASELINE_STYLE = {"color": CLEAR, "symbol": "diamond", "line": {"width": 2, "color": INK}}
_PICK_STYLE = {"color": VERMILLION_GLASS, "line": {"width": 2, "color": VERMILLION}}


def _some(point: FrontPoint | None) -> tuple[FrontPoint, ...]:
    return () if point is None else (point,)


def _bubbles(data: FrontData) -> tuple[FrontPoint, ...]:
    return (*data.others, *data.members, *_some(data.pick), *_some(data.baseline))


def _envelope_trace(corners: Sequence[tuple[float, float]]) -> go.Scatter:
    return go.Scatter(
        x=[x for x, _ in corners],
        y=[y for _, y in corners],
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )


def _bubble_trace(points: Sequence[FrontPoint], name: str, style: dict[str, Any], largest: float) -> go.Scatter:
    is_faint = "opacity" in style
    accuracies = [point.accuracy for point in points if point.accuracy is not None]
    sizing = {"sizemode": "area", "sizeref": largest / LARGEST_BUBBLE**2 * 2, "sizemin": SMALLEST_BUBBLE / 2}
    return go.Scatter(
        x=[point.cost.value for point in points],
        y=[accuracy.value for accuracy in accuracies],
        mode="markers",
        name=name,
        marker={"size": [point.area for point in points], **sizing, **style},
        error_x=None if is_faint else _error_bars([point.cost for point in points], style),
        error_y=None if is_faint else _error_bars(accuracies, style),
        customdata=[point.number for point in points],
        hovertext=[hover(list(point.lines)) for point in points],
        hoverinfo="text",
    )


def _error_bars(scores: Sequence[Score], style: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [0 if score.high is None else score.high - score.value for score in scores],
        "arrayminus": [0 if score.low is None else score.value - score.low for score in scores],
        "color": style["line"]["color"],
        "thickness": 1,
        "width": 3,
    }


def _rug_trace(points: Sequence[FrontPoint]) -> go.Scatter:
    """Ticks along the bottom: these trials have a latency but no accuracy. On an axis of their own, to stay there."""
    return go.Scatter(
        x=[point.cost.value for point in points],
        y=[0.0] * len(points),
        yaxis="y2",
        mode="markers",
        name="closed before training",
        marker={"symbol": "line-ns-open", "size": 12, "color": FAINT, "line": {"width": 1.5}},
        hovertext=[hover(list(point.lines)) for point in points],
        hoverinfo="text",
        cliponaxis=False,
    )


def _finish_axes(figure: go.Figure, data: FrontData) -> None:
    costs = [point.cost.value for point in (*_bubbles(data), *data.closed)]
    # A margin of 15 % keeps the outer bubbles whole.
    low, high = min(costs) / 1.15, max(costs) * 1.15
    words = cost_words(data.axis)
    ticks = log_ticks(low, high)
    figure.update_layout(
        xaxis={
            "type": "log",
            "title": {"text": f"{words.noun}{profile_of(data.axis)} ({words.unit}, log scale)"},
            "range": [math.log10(low), math.log10(high)],  # a log axis takes its range in powers of ten
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
        },
        yaxis={"title": {"text": "accuracy (%, validation)"}, "range": accuracy_range(data)},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )


def log_ticks(low: float, high: float) -> list[float]:
    """The numbers 1, 2 and 5 of every decade between two positive values; where only one is there, all digits."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), range(1, 10)):
        ticks = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) > 1:
            break
    return shown


def accuracy_range(data: FrontData) -> tuple[float, float]:
    """The accuracies in view: the front's, and some room below it.

    A member that loses more than the hypervolume's box allows is out of view, or it would flatten the rest.
    """
    assert data.baseline is not None
    assert data.baseline.accuracy is not None
    floor = data.baseline.accuracy.value - data.max_drop
    ends = [
        end
        for point in (*data.members, *_some(data.pick), data.baseline)
        if point.accuracy is not None and point.accuracy.value >= floor
        for end in (point.accuracy.value, point.accuracy.low, point.accuracy.high)
        if end is not None
    ]
    span = max(max(ends) - min(ends), 1.0)
    return min(ends) - 0.3 * span, max(ends) + 0.08 * span


def _label(figure: go.Figure, data: FrontData) -> None:
    assert data.baseline is not None
    assert data.baseline.accuracy is not None
    limit = data.reference - data.within
    figure.add_hline(y=limit, line={"color": FAINT, "width": 1, "dash": "dot"}, name=DROP_LIMIT)
    note = {"showarrow": False, "font": {"size": 11, "color": INK}}
    text = f"{data.within:g} pt lost"
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": limit, "yanchor": "bottom"}
    figure.add_annotation(text=text, name=DROP_LIMIT, **place, **note)
    on_line = [p for p in data.members if p.accuracy and (p.cost.value, p.accuracy.value) in data.envelope]
    off_line = [p for p in data.members if p not in on_line]
    points = [*_some(data.pick), data.baseline, *on_line, *off_line]
    for x, y, number in _apart(points, figure.layout.xaxis.range, figure.layout.yaxis.range):
        name = "baseline" if number == data.baseline.number else f"#{number}"
        text = f"<b>{name}</b>" if data.pick and number == data.pick.number else name
        # Up and to the left of the line nothing else can be; what is off the line has more room below.
        place = _BELOW_RIGHT if number in {point.number for point in off_line} else _ABOVE_LEFT
        figure.add_annotation(text=text, x=x, y=y, **place, **note)


_ABOVE_LEFT = {"xanchor": "right", "yanchor": "bottom", "xshift": -5, "yshift": 4}
_BELOW_RIGHT = {"xanchor": "left", "yanchor": "top", "xshift": 5, "yshift": -4}


def _apart(
    points: Sequence[FrontPoint], x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[tuple[float, float, int]]:
    """Where the labels go that do not cover an earlier one: (log10 of the cost, accuracy, trial)."""
    kept: list[tuple[float, float, int]] = []
    width, height = LABEL_WIDTH * (x_range[1] - x_range[0]), LABEL_HEIGHT * (y_range[1] - y_range[0])
    for point in points:
        if point.accuracy is None or not y_range[0] <= point.accuracy.value <= y_range[1]:
            continue
        x, y = math.log10(point.cost.value), point.accuracy.value
        if all(abs(x - other_x) > width or abs(y - other_y) > height for other_x, other_y, _ in kept):
            kept.append((x, y, point.number))
    return kept
