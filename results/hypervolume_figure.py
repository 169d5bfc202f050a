"""How the front grew: its hypervolume over the trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ..search.front import front, front_hypervolume
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.trial import Fidelity, State, Trial
from .figure_style import BLUE, VERMILLION, hover, message, new_figure
from .summary import find_baseline

_COLOURS = {Fidelity.CALIBRATED: "#8a9199", Fidelity.SHORT: BLUE, Fidelity.FULL: VERMILLION}
_NAMES = {
    Fidelity.CALIBRATED: "without training",
    Fidelity.SHORT: "after the short fine-tune",
    Fidelity.FULL: "after the full fine-tune",
}


@dataclass(frozen=True, slots=True)
class HypervolumeSeries:
    """Hypervolume of one fidelity's front.

    Attributes:
        fidelity: Fronts of different training are not compared.
        numbers: Trials after which it was computed: the first of this fidelity, those that raised it, and the last.
        shares: Share of the box, 0 to 1, after each of these trials.
        origins: Why each of these trials was proposed.
    """

    fidelity: Fidelity
    numbers: tuple[int, ...]
    shares: tuple[float, ...]
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HypervolumeData:
    """One series per fidelity that has compressed networks, from little training to much."""

    series: tuple[HypervolumeSeries, ...] = ()


def hypervolume_data(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> HypervolumeData:
    """Follows the hypervolume trial by trial."""
    if find_baseline(trials) is None:
        return HypervolumeData()
    present = {t.fidelity for t in trials if t.state is State.COMPLETE and t.configuration}
    return HypervolumeData(tuple(_series(trials, fidelity, goals) for fidelity in Fidelity if fidelity in present))


def draw_hypervolume(data: HypervolumeData) -> go.Figure:
    """Steps that rise where a trial improved the front."""
    figure = new_figure(320)
    if not data.series:
        return message(figure, "No hypervolume yet: only the baseline has been evaluated")
    for series in data.series:
        origins = [
            hover([f"#{number} {origin}", f"{100 * share:.1f} %"])
            for number, share, origin in zip(series.numbers, series.shares, series.origins, strict=True)
        ]
        figure.add_trace(
            go.Scatter(
                x=series.numbers,
                y=[100 * share for share in series.shares],
                mode="lines+markers",
                name=_NAMES[series.fidelity],
                line={"shape": "hv", "color": _COLOURS[series.fidelity], "width": 2},
                marker={"size": 5},
                hovertext=origins,
                hoverinfo="text",
            )
        )
    figure.update_layout(
        showlegend=True,
        xaxis={"title": {"text": "trial"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "hypervolume (% of its box)"}, "rangemode": "tozero"},
    )
    return figure


def _series(trials: Sequence[Trial], fidelity: Fidelity, goals: Goals) -> HypervolumeSeries:
    baseline = trials[0]
    members: list[Trial] = []
    numbers: list[int] = []
    shares: list[float] = []
    origins: list[str] = []
    for position, trial in enumerate(trials):
        if trial.state is not State.COMPLETE or trial.fidelity is not fidelity:
            continue
        # Only the members so far can matter beside a new one, which keeps a long run quick to follow; but what one that
        # was measured again had put off may come back, and the hypervolume may shrink.
        is_again = trial.supersedes is not None
        beside = trials[1 : position + 1] if is_again else [*members, trial]
        members = [t for t in front([baseline, *beside], fidelity, goals) if t is not baseline]
        share = front_hypervolume([baseline, *members], fidelity, goals)
        if not shares or share > shares[-1] or (is_again and share != shares[-1]):
            numbers, shares, origins = [*numbers, trial.number], [*shares, share], [*origins, trial.origin]
    if trials[-1].number > numbers[-1]:
        numbers, shares, origins = [*numbers, trials[-1].number], [*shares, shares[-1]], [*origins, "last trial"]
    return HypervolumeSeries(fidelity, tuple(numbers), tuple(shares), tuple(origins))
