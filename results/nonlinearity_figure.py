"""How accuracy falls as activations go: folded networks against the same architectures from scratch."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from ..evaluators.evaluator import Score
from ..evaluators.folded_point import FoldedPoint
from ..evaluators.nonlinearity import Nonlinearity
from .figure_style import BLUE, BLUE_GLASS, FAINT, VERMILLION, hover, new_figure, plain
from .wording import word_score

_GREY = "#8a9199"


@dataclass(frozen=True, slots=True)
class DepthSeries:
    """Networks of one kind, by the activations that they have left.

    Attributes:
        name: For the legend.
        n_activations: Of each network.
        accuracies: In percent, on validation.
        errors: Half the width of each 95 % interval, in percentage points.
        notes: What pointing at each tells.
    """

    name: str
    n_activations: tuple[int, ...]
    accuracies: tuple[float, ...]
    errors: tuple[float, ...]
    notes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class NonlinearityData:
    """What the figure shows.

    Attributes:
        series: The unfolded networks, the folded ones, and those from scratch where there are any.
        degree: The effective degree.
        low: Lower end of its interval.
        high: Upper end.
        floor: Accuracy in percent that the degree must keep: the mean of the unfolded networks less the tolerance.
    """

    series: tuple[DepthSeries, ...]
    degree: int
    low: int
    high: int
    floor: float


def nonlinearity_data(result: Nonlinearity) -> NonlinearityData:
    """Lays out a sweep; points whose training failed are left out, the table has them."""
    points = sorted((point for point in result.points if point.scores), key=lambda point: point.n_activations)
    n_all = result.foldable.n_all
    series = [
        _series("unfolded", [(n_all, each.accuracy, (f"seed {each.seed}",)) for each in result.unfolded]),
        _series("folded and fine-tuned", [(p.n_activations, p.scores["accuracy"], _notes(p)) for p in points]),
    ]
    fresh = [p for p in points if "scratch_accuracy" in p.scores]
    if fresh:
        named = [(p.n_activations, p.scores["scratch_accuracy"], _notes(p)) for p in fresh]
        series.append(_series("same architecture from scratch", named))
    degree = result.degree
    full = sum(each.accuracy.value for each in result.unfolded) / max(1, len(result.unfolded))
    return NonlinearityData(tuple(series), degree.n_activations, degree.low, degree.high, full - degree.tolerance_pt)


def draw_nonlinearity(data: NonlinearityData) -> go.Figure:
    """Accuracy over activations left: the degree as a line in its interval, the accuracy to keep as another."""
    figure = new_figure(440)
    colours = {"unfolded": VERMILLION, "folded and fine-tuned": BLUE}
    for series in data.series:
        colour = colours.get(series.name, _GREY)
        figure.add_trace(
            go.Scatter(
                x=series.n_activations,
                y=series.accuracies,
                mode="markers",
                name=plain(series.name),
                marker={"size": 9, "color": colour, "symbol": "diamond" if colour == _GREY else "circle"},
                error_y={"type": "data", "array": series.errors, "color": colour, "thickness": 1, "width": 3},
                hovertext=[hover(list(lines)) for lines in series.notes],
                hoverinfo="text",
            )
        )
    figure.add_vrect(x0=data.low - 0.15, x1=data.high + 0.15, fillcolor=BLUE_GLASS, opacity=0.35, line_width=0)
    figure.add_vline(x=data.degree, line={"color": BLUE, "width": 1, "dash": "dot"})
    figure.add_hline(y=data.floor, line={"color": FAINT, "width": 1, "dash": "dash"})
    figure.update_layout(
        showlegend=True,
        xaxis={"title": {"text": "activations left"}, "dtick": _tick(data)},
        yaxis={"title": {"text": "accuracy on validation (%)"}},
    )
    return figure


def _tick(data: NonlinearityData) -> int:
    """Whole numbers, some ten of them."""
    counts = [n for series in data.series for n in series.n_activations]
    return max(1, (max(counts, default=1) - min(counts, default=0)) // 10)


def _series(name: str, networks: list[tuple[int, Score, tuple[str, ...]]]) -> DepthSeries:
    return DepthSeries(
        name,
        tuple(n for n, _, _ in networks),
        tuple(score.value for _, score, _ in networks),
        tuple(0.0 if score.high is None else score.high - score.value for _, score, _ in networks),
        tuple((name, f"{word_score(score, 1)} %", f"{n} activations", *notes) for n, score, notes in networks),
    )


def _notes(point: FoldedPoint) -> tuple[str, ...]:
    return f"{point.depth} layers deep", f"λ {point.strength:g}, seed {point.seed}"
