"""The diagram of a network before and after, input on top: its channels, and the time of each layer beside them."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from .figure_style import BLUE, BLUE_GLASS, CLEAR, FAINT, INK, hover, message, new_figure, plain
from .network_data import NetworkData, NetworkRow

_SPLIT = 0.52
"""Share of the width that the channels and decisions take."""
_ROW_HEIGHT = 28
_WORDS_AT = 0.56
"""Where the decisions are written, in half-widths of the widest layer right of the middle."""


def draw_network(data: NetworkData) -> go.Figure:
    """Outlined as it was, filled as it became."""
    if not data.rows:
        return message(new_figure(140), "The run does not say what layers its network has")
    figure = new_figure(110 + _ROW_HEIGHT * len(data.rows))
    positions = list(range(len(data.rows)))
    widest = max(row.channels for row in data.rows) or 1
    before, after = [row.channels / widest for row in data.rows], [row.kept / widest for row in data.rows]
    figure.add_trace(
        _boxes(positions, before, "channels before", {"color": CLEAR, "line": {"color": FAINT, "width": 1}})
    )
    figure.add_trace(_boxes(positions, after, "channels after", {"color": BLUE_GLASS, "line": {"width": 0}}, data.rows))
    has_times = any(row.before_us is not None or row.after_us is not None for row in data.rows)
    if has_times:
        figure.add_traces(_time_traces(positions, data.rows))
    _write_words(figure, positions, data.rows)
    _finish(figure, data, has_times=has_times)
    return figure


def _boxes(
    positions: Sequence[int],
    widths: Sequence[float],
    name: str,
    marker: dict[str, object],
    rows: Sequence[NetworkRow] | None = None,
) -> go.Bar:
    return go.Bar(
        x=list(widths),
        base=[-width / 2 for width in widths],
        y=list(positions),
        orientation="h",
        width=0.72,
        name=name,
        marker=marker,
        hovertext=None if rows is None else [_hover(row) for row in rows],
        hoverinfo="skip" if rows is None else "text",
    )


def _time_traces(positions: Sequence[int], rows: Sequence[NetworkRow]) -> list[go.Bar]:
    hovers = [_hover(row) for row in rows]
    style = {"orientation": "h", "xaxis": "x2", "hovertext": hovers, "hoverinfo": "text"}
    befores, afters = [row.before_us or 0.0 for row in rows], [row.after_us or 0.0 for row in rows]
    return [
        go.Bar(
            y=[p - 0.18 for p in positions], x=befores, width=0.34, name="time before", marker={"color": FAINT}, **style
        ),
        go.Bar(
            y=[p + 0.18 for p in positions], x=afters, width=0.34, name="time after", marker={"color": BLUE}, **style
        ),
    ]


def _hover(row: NetworkRow) -> str:
    channels = [f"{row.channels} channels, {row.kept or 'none'} after"] if row.channels else []
    times = [
        f"{us:.1f} µs {when}" for us, when in ((row.before_us, "before"), (row.after_us, "after")) if us is not None
    ]
    return hover([row.name, *channels, " · ".join(row.words) or "unchanged", *times])


def _write_words(figure: go.Figure, positions: Sequence[int], rows: Sequence[NetworkRow]) -> None:
    for position, row in zip(positions, rows, strict=True):
        text = " · ".join(row.words)
        if text:
            figure.add_annotation(
                text=plain(text),
                x=_WORDS_AT,
                y=position,
                xanchor="left",
                showarrow=False,
                font={"size": 11, "color": INK},
            )


def _finish(figure: go.Figure, data: NetworkData, *, has_times: bool) -> None:
    bare = {"showgrid": False, "ticks": "", "showline": False, "zeroline": False, "fixedrange": True}
    totals = [f"{ms:.3f} ms" for ms in (data.before_ms, data.after_ms) if ms is not None]
    figure.update_layout(
        barmode="overlay",
        bargap=0.2,
        margin={"l": 24, "r": 16, "t": 48, "b": 48},
        xaxis={**bare, "showticklabels": False, "range": [-0.55, 1.3], "domain": [0, _SPLIT if has_times else 1]},
        xaxis2={
            "domain": [_SPLIT + 0.02, 1],
            "title": {"text": f"time, µs (in all {' → '.join(totals)})" if totals else "time, µs"},
            "rangemode": "tozero",
            "gridcolor": FAINT,
            "automargin": True,
            "fixedrange": True,
        },
        yaxis={
            **bare,
            "autorange": "reversed",
            "tickvals": list(range(len(data.rows))),
            "ticktext": [plain(row.name) for row in data.rows],
            "tickfont": {"size": 11},
        },
    )
    if not has_times:
        figure.update_layout(xaxis2={"visible": False})
