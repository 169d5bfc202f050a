"""Several fronts in one picture: what is lost against how much faster each becomes."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from .comparison_data import ComparedFront, ComparisonData
from .figure_style import FAINT, INK, SERIES, hover, message, new_figure, plain
from .front_figure import log_ticks

MAX_DROP_SHOWN = 10.0
"""Points of accuracy lost at which the view ends; what lies below is seen by zooming out."""
_MIN_TICKS = 2


def draw_comparison(data: ComparisonData) -> go.Figure:
    """One line per front, over the speed-up against its own baseline, so that fast and slow devices compare."""
    shown = [front for front in data.fronts if front.points]
    if not shown:
        return message(new_figure(140), "Nothing to compare yet: no front has a compressed network")
    figure = new_figure(460)
    for i, front in enumerate(shown):
        figure.add_trace(_trace(front, SERIES[i % len(SERIES)]))
    speedups = [point.speedup for front in shown for point in front.points]
    low, high = min(1.0, *speedups) / 1.1, max(speedups) * 1.1
    drops = [point.drop for front in shown for point in front.points]
    lowest, highest = min(0.0, *drops), min(MAX_DROP_SHOWN, max(1.0, *drops))
    ticks = log_ticks(low, high)
    # In a narrow range only Plotly finds enough numbers that read well.
    named = {"tickvals": ticks, "ticktext": [f"{tick:g}x" for tick in ticks]} if len(ticks) > _MIN_TICKS else {}
    figure.add_hline(y=0, line={"color": FAINT, "width": 1, "dash": "dot"})
    figure.update_layout(
        showlegend=True,
        xaxis={
            "type": "log",
            "title": {"text": "times faster than the baseline (log scale)"},
            "range": [math.log10(low), math.log10(high)],
            "ticksuffix": "x",
            **named,
        },
        yaxis={"title": {"text": "accuracy lost (pt)"}, "range": [highest * 1.05, lowest - 0.05 * highest]},
    )
    if data.caution:
        place = {"x": 0, "y": 0, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(text=plain(data.caution), showarrow=False, font={"size": 11, "color": INK}, **place)
    return figure


def _trace(front: ComparedFront, colour: str) -> go.Scatter:
    return go.Scatter(
        x=[point.speedup for point in front.points],
        y=[point.drop for point in front.points],
        mode="lines+markers",
        name=f"{plain(front.name)} (baseline {front.baseline_ms:.3g} ms)",
        line={"shape": "hv", "color": colour, "width": 1.5},
        marker={"size": 8, "color": colour},
        hovertext=[
            hover(
                [
                    f"#{point.number} of {front.name}",
                    f"{point.latency_ms:.4g} ms, {point.speedup:.2f}x faster",
                    f"{point.drop:.2f} pt lost",
                ]
            )
            for point in front.points
        ],
        hoverinfo="text",
    )
