"""Predicted against measured latency: on the diagonal the predictor was right."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from .figure_style import BLUE, FAINT, SERIES, hover, message, new_figure
from .front_figure import log_ticks
from .prediction_data import PredictionPoint


def draw_prediction(points: Sequence[PredictionPoint]) -> go.Figure:
    """One colour per precision, and the line where both are equal."""
    if not points:
        return message(new_figure(140), "Nothing was predicted: the sampler chose without a predictor")
    figure = new_figure(420)
    every = [each for point in points for each in (point.predicted_ms, point.measured_ms)]
    low, high = min(every) / 1.1, max(every) * 1.1
    line = {"color": FAINT, "width": 1, "dash": "dot"}
    ends = [low, high]
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", name="equal"))
    classes = sorted({point.precision for point in points})
    for i, name in enumerate(classes):
        members = [point for point in points if point.precision == name]
        figure.add_trace(
            go.Scatter(
                x=[point.measured_ms for point in members],
                y=[point.predicted_ms for point in members],
                mode="markers",
                name=name,
                marker={"color": SERIES[i % len(SERIES)] if len(classes) > 1 else BLUE, "size": 7, "opacity": 0.75},
                customdata=[point.number for point in members],
                hovertext=[_hover(point) for point in members],
                hoverinfo="text",
            )
        )
    ticks = {"tickvals": log_ticks(low, high), "ticktext": [f"{tick:g}" for tick in log_ticks(low, high)]}
    figure.update_layout(
        showlegend=True,
        xaxis={"type": "log", "title": {"text": "measured latency (ms, log scale)"}, **ticks},
        yaxis={"type": "log", "title": {"text": "predicted latency (ms, log scale)"}, **ticks},
    )
    return figure


def _hover(point: PredictionPoint) -> str:
    off = 100 * (point.predicted_ms / point.measured_ms - 1)
    return hover([f"#{point.number}", f"measured {point.measured_ms:.4g} ms", f"predicted {off:+.1f} %"])
