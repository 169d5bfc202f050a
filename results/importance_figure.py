"""The sites that matter most for one objective, as bars."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from .figure_style import BLUE, BLUE_GLASS, hover, message, new_figure, plain
from .importance import ObjectiveImportance, SiteImportance

MAX_BARS = 15
_ROW_HEIGHT = 24
_ROOM_FOR_TEXT = 1.5
"""Length of the axis over the longest bar, so that the effect fits beside it, also on a phone."""


@dataclass(frozen=True, slots=True)
class ImportanceBar:
    """One site.

    Attributes:
        site: Its name.
        percent: Its share, 0 to 100.
        effect: In words, such as `-2.3 pt`.
        is_clear: Drawn in full colour.
        lines: What a reader learns by pointing at it, as plain text.
    """

    site: str
    percent: float
    effect: str
    is_clear: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportanceData:
    """The bars of one objective, from the longest; with a reason instead where there are none."""

    bars: tuple[ImportanceBar, ...] = ()
    reason: str = ""


def importance_data(importance: ObjectiveImportance, n_bars: int = MAX_BARS) -> ImportanceData:
    """Picks and words the sites to show."""
    bars = tuple(_bar(each, importance) for each in importance.sites[:n_bars])
    return ImportanceData(bars, importance.reason)


def draw_importance(data: ImportanceData) -> go.Figure:
    """Horizontal bars, the most important on top, with the effect of the strongest choice beside each."""
    if not data.bars:
        return message(new_figure(140), data.reason)
    figure = new_figure(16 + _ROW_HEIGHT * len(data.bars))
    figure.add_trace(
        go.Bar(
            x=[bar.percent for bar in data.bars],
            y=list(range(len(data.bars))),
            orientation="h",
            marker={"color": [BLUE if bar.is_clear else BLUE_GLASS for bar in data.bars], "line": {"width": 0}},
            text=[plain(bar.effect) for bar in data.bars],
            textposition="outside",
            textfont={"size": 11},
            cliponaxis=False,
            hovertext=[hover(list(bar.lines)) for bar in data.bars],
            hoverinfo="text",
        )
    )
    longest = max(bar.percent for bar in data.bars)
    bare = {"showgrid": False, "ticks": "", "showline": False, "title": {"text": ""}, "fixedrange": True}
    figure.update_layout(
        bargap=0.35,
        showlegend=False,
        modebar={"remove": ["toimage"]},  # it would lie on the longest bar
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={**bare, "showticklabels": False, "range": [0, longest * _ROOM_FOR_TEXT]},
        yaxis={
            **bare,
            "range": [len(data.bars) - 0.5, -0.5],
            "tickvals": list(range(len(data.bars))),
            "ticktext": [plain(bar.site) for bar in data.bars],
            "tickfont": {"size": 11},
            "ticklabelstandoff": 6,
        },
    )
    return figure


def word_effect(effect: float, unit: str) -> str:
    """What the strongest choice does: `-2.3 pt` of accuracy, `-21 %` of the latency."""
    digits = 1 if unit == "pt" else 0
    rounded = round(effect, digits)
    return f"{rounded:+.{digits}f} {unit}" if rounded else f"0 {unit}"


def _bar(each: SiteImportance, importance: ObjectiveImportance) -> ImportanceBar:
    percent = 100 * each.share
    effect = word_effect(each.effect, importance.effect_unit)
    lines = (
        each.site,
        f"{percent:.0f} % of what the decisions do",
        f"strongest choice beside neutral: {effect}{'' if each.is_clear else ', not clear yet'}",
    )
    return ImportanceBar(each.site, percent, effect, each.is_clear, lines)
