"""The time budget of a search as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from .figure_style import FAINT, SERIES, hover, message, new_figure, plain, time_unit
from .time_data import OVERHEAD, STAGES, TimeGroup
from .wording import word_seconds


def draw_time(groups: Sequence[TimeGroup]) -> go.Figure:
    """One bar per kind of trial, one colour per stage."""
    if not groups:
        return message(new_figure(140), "No time has been recorded yet")
    figure = new_figure(130 + 34 * len(groups))
    unit, unit_s = time_unit(max(sum(group.seconds.values()) for group in groups))
    present = {stage for group in groups for stage in group.seconds}
    stages = [*(stage for stage in STAGES if stage in present), *sorted(present - {*STAGES, OVERHEAD})]
    for i, stage in enumerate([*stages, *([OVERHEAD] if OVERHEAD in present else [])]):
        holding = [group for group in groups if group.seconds.get(stage, 0.0) > 0]
        figure.add_trace(
            go.Bar(
                x=[group.seconds[stage] / unit_s for group in holding],
                y=[_title(group) for group in holding],
                orientation="h",
                name=plain(stage),
                marker={"color": FAINT if stage == OVERHEAD else SERIES[i % len(SERIES)]},
                hovertext=[hover([group.name, f"{stage} {word_seconds(group.seconds[stage])}"]) for group in holding],
                hoverinfo="text",
            )
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.35,
        showlegend=True,
        legend={"traceorder": "normal"},  # as the bars are stacked
        xaxis={"title": {"text": f"wall time ({unit})"}, "rangemode": "tozero"},
        yaxis={
            "categoryorder": "array",
            "categoryarray": [_title(group) for group in groups],
            "autorange": "reversed",
            "fixedrange": True,
        },
        margin={"l": 24},
    )
    return figure


def _title(group: TimeGroup) -> str:
    counted = f" ({group.n_trials})" if group.n_trials else ""
    return f"{group.name}{counted} · {word_seconds(sum(group.seconds.values()))}"
