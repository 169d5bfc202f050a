"""The heat map of one configuration: layers down, techniques across."""

from __future__ import annotations

import plotly.graph_objects as go

from .figure_style import DARKER_WHERE_STRONGER, hover, message, new_figure, plain
from .layer_decisions import DecisionCell
from .layers_data import LayersData

_HEADINGS = {"prune": "channels", "bits": "precision", "rank": "rank", "operator": "operator", "fold": "folded"}
_NO_SITE = "·"


def draw_layers(data: LayersData) -> go.Figure:
    """The stronger the blue, the more is taken away; a dot where a technique has nothing to decide."""
    if not data.layers:
        return message(new_figure(140), "The run does not say what layers its network has")
    figure = new_figure(90 + 24 * len(data.layers))
    figure.add_trace(
        go.Heatmap(
            z=[[0.0 if cell is None else cell.strength for cell in row] for row in data.cells],
            text=[[_written(cell) for cell in row] for row in data.cells],
            texttemplate="%{text}",
            hovertext=_hover_texts(data),
            hoverinfo="text",
            colorscale=DARKER_WHERE_STRONGER,
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    bare = {"showgrid": False, "ticks": "", "showline": False, "fixedrange": True}
    figure.update_layout(
        margin={"l": 24, "r": 8, "t": 40, "b": 8},
        xaxis={
            **bare,
            "side": "top",
            "tickvals": list(range(len(data.techniques))),
            "ticktext": [plain(_HEADINGS.get(name, name)) for name in data.techniques],
        },
        yaxis={
            **bare,
            "autorange": "reversed",
            "tickvals": list(range(len(data.layers))),
            "ticktext": [plain(name) for name in data.layers],
            "tickfont": {"size": 11},
        },
    )
    return figure


def _written(cell: DecisionCell | None) -> str:
    return _NO_SITE if cell is None else plain(" ".join(cell.words))


def _hover_texts(data: LayersData) -> list[list[str]]:
    return [
        [
            hover([name, facts, "nothing to decide" if cell is None else " · ".join(cell.words) or "unchanged"])
            for cell in row
        ]
        for name, facts, row in zip(data.layers, data.facts, data.cells, strict=True)
    ]
