"""How far accuracy after little training tells accuracy after more."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from .fidelity_data import FidelityPairs
from .figure_style import SERIES, hover, message, new_figure

_FAR = 15.0
"""Points below the best at which the view ends: what training cannot save is seen by zooming out."""


def draw_fidelity(pairs: Sequence[FidelityPairs]) -> go.Figure:
    """One colour per pair of fidelities, its rank correlation in the legend."""
    if not pairs:
        return message(new_figure(140), "No candidate was given more training yet")
    figure = new_figure(420)
    for i, each in enumerate(pairs):
        rank = "" if each.rank_correlation is None else f", rank correlation {each.rank_correlation:.2f}"
        figure.add_trace(
            go.Scatter(
                x=each.before,
                y=each.after,
                mode="markers",
                name=f"{each.lower} → {each.higher}{rank}",
                marker={"color": SERIES[i % len(SERIES)], "size": 8, "opacity": 0.8},
                customdata=each.numbers,
                hovertext=[
                    hover([f"#{number}", f"{before:.1f} % {each.lower}", f"{after:.1f} % {each.higher}"])
                    for number, before, after in zip(each.numbers, each.before, each.after, strict=True)
                ],
                hoverinfo="text",
            )
        )
    best = max(accuracy for each in pairs for accuracy in each.after)
    lowest = min(accuracy for each in pairs for accuracy in each.after)
    figure.update_layout(
        showlegend=True,
        xaxis={"title": {"text": "accuracy after less training (%)"}},
        yaxis={"title": {"text": "accuracy after more (%)"}, "range": [max(lowest, best - _FAR) - 1, best + 1]},
    )
    return figure
