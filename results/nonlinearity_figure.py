"""How accuracy falls as activations and layers go: folded networks against the same architectures from scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import plotly.graph_objects as go

from ..evaluators.evaluator import Score
from ..evaluators.folded_point import FoldedPoint
from ..evaluators.nonlinearity import Nonlinearity
from .figure_style import BLUE, BLUE_GLASS, FAINT, VERMILLION, hover, new_figure, plain
from .wording import word_score

_GREY = "#8a9199"


@dataclass(frozen=True, slots=True)
class DepthSeries:
    """Networks of one kind.

    Attributes:
        name: For the legend.
        positions: Of each network, on the axis.
        accuracies: In percent, on validation.
        errors: Half the width of each 95 % interval, in percentage points.
        notes: What pointing at each tells.
    """

    name: str
    positions: tuple[int, ...]
    accuracies: tuple[float, ...]
    errors: tuple[float, ...]
    notes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class NonlinearityData:
    """What the figure shows.

    Attributes:
        axis: What the networks stand over: `activations left` or `depth (layers)`.
        series: The unfolded networks, the folded ones, and those from scratch where there are any.
        floor: Accuracy in percent that is to be kept: the mean of the unfolded networks less the tolerance.
        degree: The effective degree between the ends of its interval: (low, degree, high); None over depth.
    """

    axis: str
    series: tuple[DepthSeries, ...]
    floor: float
    degree: tuple[int, int, int] | None = None


def activations_data(result: Nonlinearity) -> NonlinearityData:
    """A sweep over the activations left; points whose training failed are left out, the table has them."""
    degree = result.degree
    series = _all_series(result, result.foldable.n_all, lambda point: point.n_activations)
    ends = (degree.low, degree.n_activations, degree.high)
    return NonlinearityData("activations left", series, _floor(result), ends)


def depth_data(result: Nonlinearity) -> NonlinearityData:
    """A sweep over the depth of its networks; points whose training failed are left out, the table has them."""
    series = _all_series(result, result.depth, lambda point: point.depth)
    return NonlinearityData("depth (layers)", series, _floor(result))


def draw_nonlinearity(data: NonlinearityData) -> go.Figure:
    """Accuracy over the axis: the degree as a line in its interval, the accuracy to keep as another."""
    figure = new_figure(400)
    positions = [position for series in data.series for position in series.positions]
    span = max(positions, default=1) - min(positions, default=0)
    colours = {"unfolded": VERMILLION, "folded and fine-tuned": BLUE}
    for i, series in enumerate(data.series):
        colour = colours.get(series.name, _GREY)
        figure.add_trace(
            go.Scatter(
                # Beside each other, or one kind would hide the others.
                x=[position + (i - 1) * 0.01 * span for position in series.positions],
                y=series.accuracies,
                mode="markers",
                name=plain(series.name),
                marker={"size": 9, "color": colour, "symbol": "diamond" if colour == _GREY else "circle"},
                error_y={"type": "data", "array": series.errors, "color": colour, "thickness": 1, "width": 3},
                hovertext=[hover(list(lines)) for lines in series.notes],
                hoverinfo="text",
            )
        )
    if data.degree is not None:
        low, degree, high = data.degree
        margin = 0.03 * span
        figure.add_vrect(x0=low - margin, x1=high + margin, fillcolor=BLUE_GLASS, opacity=0.35, line_width=0)
        figure.add_vline(x=degree, line={"color": BLUE, "width": 1, "dash": "dot"})
    figure.add_hline(y=data.floor, line={"color": FAINT, "width": 1, "dash": "dash"})
    figure.update_layout(
        showlegend=True,
        xaxis={"title": {"text": data.axis}, "dtick": max(1, span // 10)},
        yaxis={"title": {"text": "accuracy on validation (%)"}},
    )
    return figure


def _all_series(result: Nonlinearity, unfolded: int, position: Callable[[FoldedPoint], int]) -> tuple[DepthSeries, ...]:
    points = sorted((point for point in result.points if point.scores), key=position)
    before = [(unfolded, each.accuracy, (f"seed {each.seed}",)) for each in result.unfolded]
    after = [(position(p), p.scores["accuracy"], _notes(p)) for p in points]
    fresh = [(position(p), p.scores["scratch_accuracy"], _notes(p)) for p in points if "scratch_accuracy" in p.scores]
    series = [_series("unfolded", before), _series("folded and fine-tuned", after)]
    return (*series, _series("same architecture from scratch", fresh)) if fresh else tuple(series)


def _floor(result: Nonlinearity) -> float:
    return fmean(each.accuracy.value for each in result.unfolded) - result.degree.tolerance_pt


def _series(name: str, networks: Sequence[tuple[int, Score, tuple[str, ...]]]) -> DepthSeries:
    return DepthSeries(
        name,
        tuple(n for n, _, _ in networks),
        tuple(score.value for _, score, _ in networks),
        tuple(0.0 if score.high is None else score.high - score.value for _, score, _ in networks),
        tuple((name, f"{word_score(score, 1)} %", *notes) for _, score, notes in networks),
    )


def _notes(point: FoldedPoint) -> tuple[str, ...]:
    return f"{point.n_activations} activations, {point.depth} layers deep", f"λ {point.strength:g}, seed {point.seed}"
