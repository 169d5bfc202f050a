"""What each member of the front does to each layer, as a grid."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from ..search.objectives import Objective
from ..search.trial import Trial
from .figure_style import DARKER_WHERE_STRONGER, hover, message, new_figure, plain
from .layer_decisions import DecisionCell, count_techniques, decide_layer, sites_by_layer, word_layer
from .load import Run
from .wording import word_ratio

MAX_WRITTEN = 14
"""Members whose decisions are written into the grid; with more of them the colour and pointing must do."""
MAX_IN_ONE_LINE = 5
"""Members whose decisions fit side by side in a cell at 1200 pixels."""


@dataclass(frozen=True, slots=True)
class DecisionsData:
    """The grid of decisions.

    Attributes:
        layers: Rows, in the order of the network.
        facts: What is known of each layer beside its name, for instance `conv, 16→32 channels, 2,359,296 MACs`.
        members: Columns, from accurate to fast.
        titles: Of each column: number, change of accuracy, and how many times less the main cost is.
        cells: Per layer, per member.
    """

    layers: tuple[str, ...]
    facts: tuple[str, ...]
    members: tuple[int, ...]
    titles: tuple[tuple[str, ...], ...]
    cells: tuple[tuple[DecisionCell, ...], ...]


def decisions_data(run: Run) -> DecisionsData:
    """Lays out the decisions of the reported front's compressed members."""
    members = [trial for trial in run.front if trial.configuration]
    layers = list(run.manifest.get("layers", ()))
    names = [str(layer["name"]) for layer in layers]
    by_layer, n_techniques = sites_by_layer(names, run.sites), count_techniques(run.sites)
    return DecisionsData(
        layers=tuple(names),
        facts=tuple(word_layer(layer) for layer in layers),
        members=tuple(trial.number for trial in members),
        titles=tuple(_title(trial, run.baseline, run.objectives.main_cost) for trial in members),
        cells=tuple(
            tuple(decide_layer(name, by_layer[name], trial.configuration, n_techniques) for trial in members)
            for name in names
        ),
    )


def draw_decisions(data: DecisionsData) -> go.Figure:
    """The grid: rows in the order of the network, columns from accurate to fast, darker where more is taken away."""
    if not data.members or not data.layers:
        return message(new_figure(140), "No decisions yet: the front has no compressed network")
    is_written = len(data.members) <= MAX_WRITTEN
    is_one_line = len(data.members) <= MAX_IN_ONE_LINE
    figure = new_figure(110 + len(data.layers) * (32 if is_written and not is_one_line else 22))
    figure.add_trace(
        go.Heatmap(
            z=[[cell.strength for cell in row] for row in data.cells],
            text=[[_written(cell, is_one_line=is_one_line) for cell in row] for row in data.cells],
            texttemplate="%{text}" if is_written else None,
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
    _finish_axes(figure, data)
    return figure


def _title(trial: Trial, baseline: Trial, main_cost: Objective) -> tuple[str, ...]:
    gain = baseline.value(main_cost.score) / trial.value(main_cost.score)
    change = round(-trial.value("accuracy_drop"), 1)
    return (f"#{trial.number}", f"{change:+.1f} pt" if change else "0.0 pt", word_ratio(gain))


def _written(cell: DecisionCell, *, is_one_line: bool) -> str:
    if is_one_line:
        return plain(" · ".join(cell.words))
    # Two lines: a cell has at most four words, and what a narrow column cannot hold is found by pointing at it.
    half = (len(cell.words) + 1) // 2
    lines = (" ".join(cell.words[:half]), " ".join(cell.words[half:]))
    return "<br>".join(plain(line) for line in lines if line)


def _hover_texts(data: DecisionsData) -> list[list[str]]:
    return [
        [
            hover([f"{name} in {', '.join(title)}", facts, " · ".join(cell.words) or "unchanged"])
            for title, cell in zip(data.titles, row, strict=True)
        ]
        for name, facts, row in zip(data.layers, data.facts, data.cells, strict=True)
    ]


def _finish_axes(figure: go.Figure, data: DecisionsData) -> None:
    n_members = len(data.members)
    n_lines = 3 if n_members <= MAX_WRITTEN else 1
    columns = ["<br>".join(plain(line) for line in title[:n_lines]) for title in data.titles]
    bare = {"showgrid": False, "ticks": "", "showline": False, "title": {"text": ""}}
    figure.update_layout(
        margin={"l": 24, "r": 8, "t": 64, "b": 8},
        xaxis={
            **bare,
            "side": "top",
            "tickvals": list(range(n_members)),
            "ticktext": columns,
            "tickangle": 0,
            "tickfont": {"size": 11},
            "fixedrange": True,
        },
        yaxis={
            **bare,
            "autorange": "reversed",
            "tickvals": list(range(len(data.layers))),
            "ticktext": [plain(name) for name in data.layers],
            "tickfont": {"size": 11},
            "fixedrange": True,
        },
    )
