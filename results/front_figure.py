"""The front: accuracy against measured latency, the area of a bubble its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ..evaluators.evaluator import Score
from ..search.front import MAX_DROP
from ..search.trial import State, Trial
from .decisions import describe
from .figure_style import BLUE, BLUE_GLASS, FAINT, INK, VERMILLION, VERMILLION_GLASS, hover, message, new_figure
from .summary import HEADLINE_DROP, find_baseline, find_pick, reported_front
from .wording import word_bytes, word_ratio, word_score

LARGEST_BUBBLE = 38
"""Diameter in pixels of the largest file on show."""
SMALLEST_BUBBLE = 6
"""So that a tiny file can still be pointed at."""
MAX_LABELLED = 16
"""Members whose numbers are written beside them; beyond that they would cover each other."""


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One trial on the picture.

    Attributes:
        number: Of the trial.
        latency_ms: Value and, where measured, interval.
        accuracy: %, None where the trial was closed before it had one.
        size_bytes: Area of the bubble.
        lines: What a reader learns by pointing at it, as plain text.
    """

    number: int
    latency_ms: Score
    accuracy: Score | None
    size_bytes: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrontData:
    """What the front's picture shows.

    Attributes:
        members: From accurate to fast; without the baseline and the pick.
        pick: The member that the summary names.
        baseline: None before it is evaluated; then nothing else is shown either.
        others: Trials with an accuracy that are not in the front, or that had less training.
        closed: Trials closed after latency and size.
        envelope: (latency in ms, accuracy in %) from fast to accurate: the best accuracy at that latency or faster,
            where it rises. A member off this line is in the front for its size.
    """

    members: tuple[FrontPoint, ...] = ()
    pick: FrontPoint | None = None
    baseline: FrontPoint | None = None
    others: tuple[FrontPoint, ...] = ()
    closed: tuple[FrontPoint, ...] = ()
    envelope: tuple[tuple[float, float], ...] = ()


def front_data(trials: Sequence[Trial]) -> FrontData:
    """Sorts the trials into what the picture shows; failed ones belong in a table."""
    baseline, pick, front = find_baseline(trials), find_pick(trials), reported_front(trials)
    if baseline is None:
        return FrontData()
    shown = {trial.number for trial in front} | {baseline.number}
    rest = [trial for trial in trials if trial.number not in shown and trial.is_verified is not False]
    return FrontData(
        members=tuple(_point(t, baseline) for t in front if t is not pick and t is not baseline),
        pick=_point(pick, baseline) if pick else None,
        baseline=_point(baseline, baseline),
        others=tuple(_point(t, baseline) for t in rest if t.state is State.COMPLETE),
        closed=tuple(_point(t, baseline) for t in rest if t.state is State.DOMINATED),
        envelope=_envelope(front),
    )


def draw_front(data: FrontData) -> go.Figure:
    """The picture; zoomed to networks of some worth, a double click shows all."""
    figure = new_figure(560)
    if data.baseline is None:
        return message(figure, "No front yet: the baseline has not been evaluated")
    figure.add_trace(_envelope_trace(data.envelope))
    largest = max(point.size_bytes for point in _bubbles(data))
    for points, name, style in (
        (data.others, "dominated or less trained", {"color": FAINT, "line": {"width": 0}, "opacity": 0.45}),
        (data.members, "front", {"color": BLUE_GLASS, "line": {"width": 1.5, "color": BLUE}}),
        (_some(data.pick), f"fastest within {HEADLINE_DROP:g} pt", _PICK_STYLE),
        (_some(data.baseline), "baseline", {"color": "rgba(0,0,0,0)", "symbol": "diamond", "line": {"width": 2, "color": INK}}),
    ):
        if points:
            figure.add_trace(_bubble_trace(points, name, style, largest))
    if data.closed:
        figure.add_trace(_rug_trace(data.closed))
    _finish_axes(figure, data)
    _label(figure, data)
    return figure


_PICK_STYLE = {"color": VERMILLION_GLASS, "line": {"width": 2, "color": VERMILLION}}


def _point(trial: Trial, baseline: Trial) -> FrontPoint:
    scores = trial.scores
    speedup = baseline.value("latency_ms") / trial.value("latency_ms")
    size_ratio = baseline.value("size_bytes") / trial.value("size_bytes")
    accuracy = scores.get("accuracy")
    lines = [
        f"#{trial.number} {trial.origin} ({trial.state if accuracy is None else f'{trial.fidelity} fine-tune'})",
        *([f"accuracy {word_score(accuracy, 2)} %"] if accuracy else [trial.reason]),
        f"{word_score(scores['latency_ms'], 3)} ms, {word_ratio(speedup)} faster",
        f"{word_bytes(trial.value('size_bytes'))}, {word_ratio(size_ratio)} smaller",
        *describe(trial.configuration),
    ]
    return FrontPoint(trial.number, scores["latency_ms"], accuracy, trial.value("size_bytes"), tuple(filter(None, lines)))


def _envelope(front: Sequence[Trial]) -> tuple[tuple[float, float], ...]:
    corners: list[tuple[float, float]] = []
    for trial in sorted(front, key=lambda trial: (trial.value("latency_ms"), -trial.value("accuracy"))):
        if not corners or trial.value("accuracy") > corners[-1][1]:
            corners.append((trial.value("latency_ms"), trial.value("accuracy")))
    return tuple(corners)


def _some(point: FrontPoint | None) -> tuple[FrontPoint, ...]:
    return () if point is None else (point,)


def _bubbles(data: FrontData) -> tuple[FrontPoint, ...]:
    return (*data.others, *data.members, *_some(data.pick), *_some(data.baseline))


def _envelope_trace(corners: Sequence[tuple[float, float]]) -> go.Scatter:
    return go.Scatter(
        x=[x for x, _ in corners],
        y=[y for _, y in corners],
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )


def _bubble_trace(points: Sequence[FrontPoint], name: str, style: dict[str, Any], largest: float) -> go.Scatter:
    is_faint = "opacity" in style
    accuracies = [point.accuracy for point in points if point.accuracy is not None]
    sizing = {"sizemode": "area", "sizeref": largest / LARGEST_BUBBLE**2 * 2, "sizemin": SMALLEST_BUBBLE / 2}
    return go.Scatter(
        x=[point.latency_ms.value for point in points],
        y=[accuracy.value for accuracy in accuracies],
        mode="markers",
        name=name,
        marker={"size": [point.size_bytes for point in points], **sizing, **style},
        error_x=None if is_faint else _error_bars([point.latency_ms for point in points], style),
        error_y=None if is_faint else _error_bars(accuracies, style),
        hovertext=[hover(list(point.lines)) for point in points],
        hoverinfo="text",
    )


def _error_bars(scores: Sequence[Score], style: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [0 if score.high is None else score.high - score.value for score in scores],
        "arrayminus": [0 if score.low is None else score.value - score.low for score in scores],
        "color": style["line"]["color"],
        "thickness": 1,
        "width": 3,
    }


def _rug_trace(points: Sequence[FrontPoint]) -> go.Scatter:
    """Ticks along the bottom: these trials have a latency but no accuracy. On an axis of their own, to stay there."""
    return go.Scatter(
        x=[point.latency_ms.value for point in points],
        y=[0.0] * len(points),
        yaxis="y2",
        mode="markers",
        name="closed before training",
        marker={"symbol": "line-ns-open", "size": 12, "color": FAINT, "line": {"width": 1.5}},
        hovertext=[hover(list(point.lines)) for point in points],
        hoverinfo="text",
        cliponaxis=False,
    )


def _finish_axes(figure: go.Figure, data: FrontData) -> None:
    latencies = [point.latency_ms.value for point in (*_bubbles(data), *data.closed)]
    # A log axis takes its range in powers of ten; a margin of 15 % keeps the outer bubbles whole.
    x_range = [math.log10(min(latencies) / 1.15), math.log10(max(latencies) * 1.15)]
    figure.update_layout(
        xaxis={"type": "log", "title": {"text": "latency (ms, log scale)"}, "range": x_range, "dtick": "D2"},
        yaxis={"title": {"text": "accuracy (%, validation)"}, "range": accuracy_range(data)},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )


def accuracy_range(data: FrontData) -> tuple[float, float]:
    """The accuracies in view: those of the front and of what is close to it.

    What loses more than the hypervolume's box allows is out of view, or one ruined network would flatten the front.
    """
    assert data.baseline is not None
    assert data.baseline.accuracy is not None
    floor = data.baseline.accuracy.value - MAX_DROP
    ends = [
        end
        for point in _bubbles(data)
        if point.accuracy is not None and point.accuracy.value >= floor
        for end in (point.accuracy.value, point.accuracy.low, point.accuracy.high)
        if end is not None
    ]
    margin = 0.08 * max(max(ends) - min(ends), 1.0)
    return min(ends) - margin, max(ends) + margin


def _label(figure: go.Figure, data: FrontData) -> None:
    assert data.baseline is not None
    assert data.baseline.accuracy is not None
    limit = data.baseline.accuracy.value - HEADLINE_DROP
    figure.add_hline(y=limit, line={"color": FAINT, "width": 1, "dash": "dot"})
    note = {"showarrow": False, "font": {"size": 11, "color": INK}}
    text = f"{HEADLINE_DROP:g} pt below the baseline"
    figure.add_annotation(text=text, x=0, xref="paper", xanchor="left", y=limit, yanchor="bottom", **note)
    labelled = [(point, f"#{point.number}") for point in (*data.members, *_some(data.pick))]
    if len(labelled) > MAX_LABELLED:
        labelled = [(point, f"#{point.number}") for point in _some(data.pick)]
    for point, text in [*labelled, (data.baseline, "baseline")]:
        assert point.accuracy is not None
        place = {"x": math.log10(point.latency_ms.value), "y": point.accuracy.value, "xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(text=text, **place, xshift=6, yshift=6, **note)
