"""How the front grew: its hypervolume over the trials and over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ..search.clock import ENDED
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.running_front import RunningHypervolume
from ..search.trial import Fidelity, State, Trial
from .figure_style import BLUE, VERMILLION, hover, message, new_figure, time_unit
from .findings import Findings

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
        ended_s: Wall seconds from the run's beginning to the end of each of these trials; None where not recorded.
    """

    fidelity: Fidelity
    numbers: tuple[int, ...]
    shares: tuple[float, ...]
    origins: tuple[str, ...]
    ended_s: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class HypervolumeData:
    """One series per fidelity that has compressed networks, from little training to much."""

    series: tuple[HypervolumeSeries, ...] = ()


def hypervolume_data(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS) -> HypervolumeData:
    """Follows the hypervolume trial by trial."""
    if Findings(trials, goals).baseline is None:
        return HypervolumeData()
    present = {t.fidelity for t in trials if t.state is State.COMPLETE and t.configuration}
    return HypervolumeData(tuple(_series(trials, fidelity, goals) for fidelity in Fidelity if fidelity in present))


def draw_hypervolume(data: HypervolumeData) -> go.Figure:
    """Steps that rise where a trial improved the front."""
    figure = new_figure(320)
    if not data.series:
        return message(figure, _NOTHING)
    for series in data.series:
        figure.add_trace(_trace(series, series.numbers, range(len(series.numbers))))
    return _finished(figure, "trial")


def draw_hypervolume_over_time(data: HypervolumeData) -> go.Figure:
    """The same over the run's wall time."""
    figure = new_figure(320)
    if not data.series:
        return message(figure, _NOTHING)
    latest = max((end for series in data.series for end in series.ended_s if end is not None), default=None)
    if latest is None:
        return message(figure, "This run did not record when its trials ended")
    unit, seconds = time_unit(latest)
    for series in data.series:
        known = [i for i, end in enumerate(series.ended_s) if end is not None]
        ends = [end / seconds for end in series.ended_s if end is not None]
        if known:
            figure.add_trace(_trace(series, ends, known))
    return _finished(figure, f"wall time ({unit})")


_NOTHING = "No hypervolume yet: only the baseline has been evaluated"


def _trace(series: HypervolumeSeries, x: Sequence[float], places: Iterable[int]) -> go.Scatter:
    """Steps at some of the series' places."""
    shown = list(places)
    return go.Scatter(
        x=list(x),
        y=[100 * series.shares[i] for i in shown],
        mode="lines+markers",
        name=_NAMES[series.fidelity],
        line={"shape": "hv", "color": _COLOURS[series.fidelity], "width": 2},
        marker={"size": 5},
        hovertext=[
            hover([f"#{series.numbers[i]} {series.origins[i]}", f"{100 * series.shares[i]:.1f} %"]) for i in shown
        ],
        hoverinfo="text",
    )


def _finished(figure: go.Figure, along: str) -> go.Figure:
    figure.update_layout(
        showlegend=True,
        xaxis={"title": {"text": along}, "rangemode": "tozero"},
        yaxis={"title": {"text": "hypervolume (% of its box)"}, "rangemode": "tozero"},
    )
    return figure


def _series(trials: Sequence[Trial], fidelity: Fidelity, goals: Goals) -> HypervolumeSeries:
    volumes = RunningHypervolume(trials, fidelity, goals)
    numbers: list[int] = []
    shares: list[float] = []
    origins: list[str] = []
    for n_trials, trial in enumerate(trials, start=1):
        if trial.state is not State.COMPLETE or trial.fidelity is not fidelity:
            continue
        # One that was measured again may have put off others before: then the hypervolume may shrink.
        share, is_again = volumes.after(n_trials), trial.supersedes is not None
        if not shares or share > shares[-1] or (is_again and share != shares[-1]):
            numbers, shares, origins = [*numbers, trial.number], [*shares, share], [*origins, trial.origin]
    if trials[-1].number > numbers[-1]:
        numbers, shares, origins = [*numbers, trials[-1].number], [*shares, shares[-1]], [*origins, "last trial"]
    ends = {trial.number: trial.details[ENDED]["wall_s"] for trial in trials if ENDED in trial.details}
    return HypervolumeSeries(fidelity, tuple(numbers), tuple(shares), tuple(origins), tuple(map(ends.get, numbers)))
