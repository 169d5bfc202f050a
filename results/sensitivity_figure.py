"""The sensitivity table as a heat map: sites down, choices from weak to strong."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from .figure_style import DARKER_WHERE_STRONGER, hover, message, new_figure, plain
from .sensitivity_data import SensitivityData

MAX_WRITTEN = 10
"""Choices per site up to which each is written into its cell."""


def draw_sensitivity(data: SensitivityData) -> go.Figure:
    """The stronger the blue, the farther the outputs are from those of the uncompressed network.

    Drawn are square roots, or small effects would look like none.
    """
    if not data.sites:
        return message(new_figure(140), "This search knew nothing of single choices")
    n_columns = max(len(choices) for choices in data.choices)
    figure = new_figure(60 + 22 * len(data.sites))
    figure.add_trace(
        go.Heatmap(
            z=[[*map(math.sqrt, row), *[None] * (n_columns - len(row))] for row in data.divergences],
            text=[[*map(plain, row), *[""] * (n_columns - len(row))] for row in data.choices],
            texttemplate="%{text}" if n_columns <= MAX_WRITTEN else None,
            hovertext=[
                [
                    hover([f"{site} {choice}", f"divergence of the outputs {value:.3f}"])
                    for choice, value in zip(choices, values, strict=True)
                ]
                + [""] * (n_columns - len(choices))
                for site, choices, values in zip(data.sites, data.choices, data.divergences, strict=True)
            ],
            hoverinfo="text",
            hoverongaps=False,
            colorscale=DARKER_WHERE_STRONGER,
            zmin=0,
            zmax=max(math.sqrt(value) for row in data.divergences for value in row),
            textfont={"size": 10},
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    bare = {"showgrid": False, "ticks": "", "showline": False, "fixedrange": True}
    figure.update_layout(
        margin={"l": 24, "r": 8, "t": 8, "b": 40},
        xaxis={**bare, "showticklabels": False, "title": {"text": "weakest to strongest choice"}},
        yaxis={
            **bare,
            "autorange": "reversed",
            "tickvals": list(range(len(data.sites))),
            "ticktext": [plain(site) for site in data.sites],
            "tickfont": {"size": 11},
        },
    )
    return figure
