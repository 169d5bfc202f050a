"""What all figures have in common: colours that work on light and dark and for colour-blind readers, fonts, axes."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

INK = "#79818b"
"""Text: a grey with a contrast of 4 or more on white and on black; the report's CSS sharpens it for its theme."""
GRID = "rgba(128, 136, 146, 0.22)"
FAINT = "rgba(128, 136, 146, 0.5)"
BLUE = "#2f86c9"
"""The front. With vermillion it stays distinct under every common colour blindness (after Okabe and Ito 2008)."""
BLUE_GLASS = "rgba(47, 134, 201, 0.35)"
VERMILLION = "#d55e00"
"""What a reader should look at first."""
VERMILLION_GLASS = "rgba(213, 94, 0, 0.35)"
SERIES = (BLUE, VERMILLION, "#009e73", "#cc79a7", "#e69f00", "#8a9199")
"""Of series side by side (after Okabe and Ito 2008); readable on light and dark."""
DARKER_WHERE_STRONGER = [[0.0, "rgba(47, 134, 201, 0.0)"], [1.0, "rgba(47, 134, 201, 0.72)"]]
"""Blue that fades into the ground, so that it works on light and dark."""
_TIME_UNITS = (("h", 3600), ("min", 60), ("s", 1))
_MIN_UNITS = 3
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
CLEAR = "rgba(0, 0, 0, 0)"

_AXIS = {
    "gridcolor": GRID,
    "linecolor": FAINT,
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": FAINT,
    "ticklen": 4,
    "automargin": True,
    "title": {"standoff": 12},
}

# Dark on both grounds, so that it stands out from either.
_HOVER_LABEL = {
    "bgcolor": "#20262e",
    "bordercolor": "#4a535e",
    "font": {"color": "#f2f4f6", "size": 12},
    "align": "left",
}


def new_figure(height: int) -> go.Figure:
    """An empty figure in the common style, on a transparent ground.

    Args:
        height: In pixels; the width follows the page.
    """
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 64, "r": 24, "t": 24, "b": 56},
        hovermode="closest",
        hoverlabel=_HOVER_LABEL,
        modebar={"bgcolor": CLEAR, "color": FAINT, "activecolor": BLUE},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR},
        xaxis=_AXIS,
        yaxis=_AXIS,
    )
    return figure


def plain(value: object) -> str:
    """Text for a figure: names may hold `<`, which Plotly would take for markup."""
    return html.escape(str(value))


def hover(lines: list[str]) -> str:
    """Lines of plain text as one hover text."""
    return "<br>".join(plain(line) for line in lines)


def time_unit(longest_s: float) -> tuple[str, int]:
    """The unit of an axis of time, and its seconds: hours where there are three of them or more, then minutes."""
    return next(each for each in _TIME_UNITS if longest_s >= each[1] * _MIN_UNITS or each[1] == 1)


def message(figure: go.Figure, text: str) -> go.Figure:
    """The figure with a sentence in the place of data that is not there yet."""
    hidden: dict[str, Any] = {"visible": False}
    figure.update_layout(xaxis=hidden, yaxis=hidden, height=140)
    figure.add_annotation(text=plain(text), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return figure
