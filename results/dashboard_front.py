"""The dashboard's picture of the front: that of the report, with so many of the other trials as can be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from ..search.front import front
from ..search.objectives import Objective
from ..search.trial import Trial
from .figure_style import FAINT, VERMILLION
from .front_data import FrontData, front_data
from .front_figure import draw_front, log_ticks
from .goal_words import cost_words
from .load import Run

MAX_DRAWN, MAX_TICKS = 1000, 300
"""Points beside the front, and ticks along the bottom, that a browser redraws in a blink."""
_COLUMNS, _ROWS = 240, 140
"""Places of the picture that can be told apart, at first; fewer where there are more points than `MAX_DRAWN`."""
RING = "shown beside"
_MARGIN = 1.15
HEIGHT = 520


class _Spot(NamedTuple):
    """A trial that is not in the front: its place, where y is None without an accuracy."""

    number: int
    x: float
    y: float | None


@dataclass(frozen=True, slots=True)
class LiveFront:
    """The picture.

    Attributes:
        figure: To draw.
        left_out: How many trials are not drawn because others lie at the same place, in words; empty where none is.
    """

    figure: go.Figure
    left_out: str


def live_front(run: Run, trials: Sequence[Trial], chosen: int | None) -> LiveFront:
    """Draws the front of some trials.

    Args:
        run: The run.
        trials: Those of it within the reader's limits.
        chosen: Number of the trial to mark.
    """
    # The words on every point cost more than all else; those of the front are worth it.
    data = front_data(_shown(run, trials), run.goals)
    if data.baseline is None:
        return LiveFront(draw_front(data, HEIGHT), "")
    figure = draw_front(data, HEIGHT)
    spots = _spots(run, trials, data)
    others, closed = [s for s in spots if s.y is not None], [s for s in spots if s.y is None]
    drawn, ticks = thinned(others), thinned(closed, MAX_TICKS)
    figure.add_traces([_cloud(drawn, data.axis), _rug(ticks, data.axis)])
    _widen(figure, spots)
    figure.add_trace(_ring([*spots, *_places(data)], chosen))
    figure.update_layout(uirevision=str(run.directory), margin={"t": 48})
    return LiveFront(figure, _left_out(len(others) - len(drawn), len(closed) - len(ticks)))


def thinned(spots: Sequence[_Spot], most: int = MAX_DRAWN) -> list[_Spot]:
    """At most so many: of those at one place of the picture the latest stands for all.

    Args:
        spots: In the order of their trials.
        most: How many.
    """
    if len(spots) <= most:
        return list(spots)
    places = np.array([(math.log(spot.x), spot.y or 0.0) for spot in spots])
    places -= places.min(axis=0)
    spread = places.max(axis=0)
    cell = np.where(spread > 0, spread / (_COLUMNS, _ROWS), 1.0)
    while True:
        columns, rows = np.rint(places / cell).T
        _, latest = np.unique((columns * (_ROWS + 1) + rows)[::-1], return_index=True)
        if len(latest) <= most:
            return [spots[i] for i in np.sort(len(spots) - 1 - latest)]
        cell = cell * max(1.15, math.sqrt(len(latest) / most))


def _shown(run: Run, trials: Sequence[Trial]) -> list[Trial]:
    """The baseline and the front, with the training that the whole run reports."""
    baseline = run.findings.baseline
    members = front(trials, run.findings.fidelity, run.goals) if baseline else []
    numbers = {trial.number for trial in (*([baseline] if baseline else []), *members)}
    return [trial for trial in trials if trial.number in numbers]


def _spots(run: Run, trials: Sequence[Trial], data: FrontData) -> list[_Spot]:
    """The trials that are not in the front, as `front_data` tells them."""
    hidden = {place.number for place in _places(data)} | run.findings.superseded
    axis, factor = data.axis.score, cost_words(data.axis).scale
    found = []
    for trial in trials:
        cost = trial.scores.get(axis)
        if cost and trial.number not in hidden and trial.configuration and trial.is_verified is not False:
            accuracy = trial.scores.get("accuracy")
            found.append(_Spot(trial.number, cost.value * factor, None if accuracy is None else accuracy.value))
    return found


def _places(data: FrontData) -> list[_Spot]:
    points = [*data.members, *([data.pick] if data.pick else []), *([data.baseline] if data.baseline else [])]
    return [_Spot(point.number, point.cost.value, point.accuracy.value) for point in points if point.accuracy]


def _cloud(spots: Sequence[_Spot], axis: Objective) -> go.Scatter:
    unit = cost_words(axis).unit
    return go.Scatter(
        x=[spot.x for spot in spots],
        y=[spot.y for spot in spots],
        mode="markers",
        name="dominated or less trained",
        marker={"color": FAINT, "opacity": 0.45, "size": 7},
        customdata=[spot.number for spot in spots],
        hovertemplate=f"#%{{customdata}}<br>%{{y:.2f}} %<br>%{{x:.3f}} {unit}<extra></extra>",
        visible=bool(spots),
    )


def _rug(spots: Sequence[_Spot], axis: Objective) -> go.Scatter:
    """Ticks along the bottom, on the axis of their own that the report's picture has."""
    unit = cost_words(axis).unit
    return go.Scatter(
        x=[spot.x for spot in spots],
        y=[0.0] * len(spots),
        yaxis="y2",
        mode="markers",
        name="closed before training",
        marker={"symbol": "line-ns-open", "size": 12, "color": FAINT, "line": {"width": 1.5}},
        customdata=[spot.number for spot in spots],
        hovertemplate=f"#%{{customdata}}<br>%{{x:.3f}} {unit}<extra></extra>",
        cliponaxis=False,
        visible=bool(spots),
    )


def _ring(spots: Sequence[_Spot], chosen: int | None) -> go.Scatter:
    """Around the chosen trial; always the last trace."""
    spot = next((spot for spot in spots if spot.number == chosen), None)
    return go.Scatter(
        x=[] if spot is None else [spot.x],
        y=[] if spot is None else [0.0 if spot.y is None else spot.y],
        yaxis="y2" if spot is not None and spot.y is None else "y",
        mode="markers",
        name=RING,
        hoverinfo="skip",
        showlegend=False,
        marker={"symbol": "circle-open", "size": 26, "color": VERMILLION, "line": {"width": 2.5}},
    )


def _widen(figure: go.Figure, spots: Sequence[_Spot]) -> None:
    """Brings all costs into view."""
    if not spots:
        return
    low, high = (10**end for end in figure.layout.xaxis.range)
    low, high = min(low, min(s.x for s in spots) / _MARGIN), max(high, max(s.x for s in spots) * _MARGIN)
    ticks = log_ticks(low, high)
    figure.update_layout(
        xaxis={
            "range": [math.log10(low), math.log10(high)],
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
        }
    )


def _left_out(n_others: int, n_closed: int) -> str:
    if n_others + n_closed == 0:
        return ""
    return (
        f"Not drawn, because a later trial lies at the same place: {n_others:,} of the dominated and {n_closed:,} of "
        "the closed ones; the table has all."
    )
