"""What each member of the front does to each layer, as a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import plotly.graph_objects as go

from ..search.objectives import Objective
from ..search.trial import Trial
from ..spaces.site import Site
from .decisions import strength, word_choice
from .figure_style import hover, message, new_figure, plain
from .load import Run
from .wording import word_ratio

MAX_WRITTEN = 14
"""Members whose decisions are written into the grid; with more of them the colour and pointing must do."""
MAX_IN_ONE_LINE = 5
"""Members whose decisions fit side by side in a cell at 1200 pixels."""
# Blue that fades into the ground, so that it works on light and dark.
_COLOURS = [[0.0, "rgba(47, 134, 201, 0.0)"], [1.0, "rgba(47, 134, 201, 0.72)"]]


@dataclass(frozen=True, slots=True)
class DecisionCell:
    """What one member does to one layer.

    Attributes:
        words: One decision each, such as `48→24`; empty where the layer is unchanged.
        strength: 0 unchanged to 1 everything at its strongest.
    """

    words: tuple[str, ...]
    strength: float


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
    by_layer = {name: [site for site in run.sites if name in site.layers] for name in names}
    n_techniques = max(1, len({site.technique for site in run.sites}))
    return DecisionsData(
        layers=tuple(names),
        facts=tuple(_word_layer(layer) for layer in layers),
        members=tuple(trial.number for trial in members),
        titles=tuple(_title(trial, run.baseline, run.objectives.main_cost) for trial in members),
        cells=tuple(tuple(_cell(name, by_layer[name], trial, n_techniques) for trial in members) for name in names),
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
            colorscale=_COLOURS,
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    _finish_axes(figure, data)
    return figure


def _cell(layer: str, sites: list[Site], trial: Trial, n_techniques: int) -> DecisionCell:
    chosen = {site: trial.configuration.get(site.name, site.neutral) for site in sites}
    touching = [site for site, choice in chosen.items() if layer in site.touched(choice)]
    words = [word_choice(site, chosen[site]) for site in touching]
    return DecisionCell(tuple(words), strength(touching, trial.configuration, n_techniques))


def _title(trial: Trial, baseline: Trial, main_cost: Objective) -> tuple[str, ...]:
    gain = baseline.value(main_cost.score) / trial.value(main_cost.score)
    change = round(-trial.value("accuracy_drop"), 1)
    return (f"#{trial.number}", f"{change:+.1f} pt" if change else "0.0 pt", word_ratio(gain))


def _word_layer(layer: Mapping[str, object]) -> str:
    return f"{layer['kind']}, {layer['in_channels']}→{layer['out_channels']} channels, {layer['macs']:,} MACs"


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
