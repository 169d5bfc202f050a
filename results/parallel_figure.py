"""Parallel coordinates of the decisions: one line per trial, one position per site."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from .figure_style import BLUE, FAINT, VERMILLION, hover, message, new_figure, plain
from .parallel_data import ParallelData, ParallelLine

MAX_TICKS = 60
"""Sites that are named along the axis; with more of them only every second, third, ... is."""


def draw_parallel(data: ParallelData) -> go.Figure:
    """Lines between 0 (unchanged) and 1 (the strongest choice); the front in colour, all else grey.

    Plain lines and not Plotly's own parallel coordinates, which need WebGL and do not print sharply.
    """
    if not data.lines:
        return message(new_figure(140), "No decisions yet: only the baseline has been evaluated")
    figure = new_figure(440)
    others = [line for line in data.lines if not line.is_member]
    members = [line for line in data.lines if line.is_member]
    if others:
        figure.add_trace(_others_trace(others, data.n_left_out))
    least = min((line.drop for line in members), default=0.0)
    for line in members:
        figure.add_trace(_member_trace(line, data.sites, is_best=line.drop == least))
    step = -(-len(data.sites) // MAX_TICKS)
    figure.update_layout(
        xaxis={
            "tickvals": list(range(0, len(data.sites), step)),
            "ticktext": [plain(name) for name in data.sites[::step]],
            "tickangle": -90,
            "tickfont": {"size": 10},
        },
        yaxis={"range": [-0.05, 1.05], "tickvals": [0, 1], "ticktext": ["unchanged", "strongest"]},
        margin={"t": 40},
    )
    return figure


def _others_trace(lines: Sequence[ParallelLine], n_left_out: int) -> go.Scatter:
    """All in one trace, None between two lines: hundreds of traces would be slow."""
    n_sites = len(lines[0].strengths)
    left_out = f", {n_left_out} more left out" if n_left_out else ""
    return go.Scatter(
        x=[x for _ in lines for x in (*range(n_sites), None)],
        y=[y for line in lines for y in (*(round(each, 3) for each in line.strengths), None)],
        mode="lines",
        line={"color": FAINT, "width": 1},
        opacity=max(0.08, min(0.6, 12 / len(lines))),
        name=f"{len(lines)} other trials{left_out}",
        hoverinfo="skip",
    )


def _member_trace(line: ParallelLine, sites: Sequence[str], *, is_best: bool) -> go.Scatter:
    title = f"#{line.number}, {line.drop:.1f} pt lost"
    return go.Scatter(
        x=list(range(len(sites))),
        y=[round(each, 3) for each in line.strengths],
        mode="lines+markers",
        line={"color": VERMILLION if is_best else BLUE, "width": 1.5},
        marker={"size": 5},
        opacity=0.85,
        name=title,
        hovertext=[hover([title, site, choice]) for site, choice in zip(sites, line.choices, strict=True)],
        hoverinfo="text",
    )
