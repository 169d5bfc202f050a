"""Decisions side by side: for each trial how strong its choice is at every site, from input to output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..search.trial import State, Trial
from ..spaces.site import Site
from .load import Run

MAX_OTHERS = 400
"""Trials behind the front that are drawn; of more, those that lose least. More lines would be one grey area."""


@dataclass(frozen=True, slots=True)
class ParallelLine:
    """One trial.

    Attributes:
        number: Of the trial.
        strengths: At every site 0 (neutral) to 1 (the strongest choice).
        choices: At every site, for people.
        drop: Points of accuracy lost.
        is_member: Of the reported front.
    """

    number: int
    strengths: tuple[float, ...]
    choices: tuple[str, ...]
    drop: float
    is_member: bool


@dataclass(frozen=True, slots=True)
class ParallelData:
    """All lines.

    Attributes:
        sites: Names, those of one technique together, each in the order of the network.
        lines: Members last, so that they lie on top.
        n_left_out: Trials behind the front that there was no room for.
    """

    sites: tuple[str, ...]
    lines: tuple[ParallelLine, ...]
    n_left_out: int = 0


def parallel_data(run: Run) -> ParallelData:
    """Lays out every trial that has an accuracy; sites that no trial decided are left out."""
    if run.findings.baseline is None:
        return ParallelData((), ())
    members = [trial for trial in run.front if trial.configuration]
    shown = {trial.number for trial in members}
    hidden = shown | run.findings.superseded
    complete = [t for t in run.trials if t.state is State.COMPLETE and t.configuration and t.is_verified is not False]
    behind = [trial for trial in complete if trial.number not in hidden]
    others = sorted(behind, key=lambda trial: trial.value("accuracy_drop"))[:MAX_OTHERS]
    sites = _ordered(run, [*others, *members])
    lines = [_line(trial, sites, is_member=trial.number in shown) for trial in (*reversed(others), *members)]
    return ParallelData(tuple(site.name for site in sites), tuple(lines), len(behind) - len(others))


def _ordered(run: Run, trials: Sequence[Trial]) -> list[Site]:
    decided = {name for trial in trials for name in trial.configuration}
    techniques = list(dict.fromkeys(site.technique for site in run.sites))
    order: Mapping[str, int] = {str(layer["name"]): i for i, layer in enumerate(run.manifest.get("layers", ()))}
    sites = [site for site in run.sites if site.name in decided]
    return sorted(sites, key=lambda site: (techniques.index(site.technique), order.get(site.layer, len(order))))


def _line(trial: Trial, sites: Sequence[Site], *, is_member: bool) -> ParallelLine:
    choices = [trial.configuration.get(site.name, site.neutral) for site in sites]
    strengths = [
        site.choices.index(choice) / (len(site.choices) - 1) for site, choice in zip(sites, choices, strict=True)
    ]
    drop = trial.value("accuracy_drop")
    return ParallelLine(trial.number, tuple(strengths), tuple(map(str, choices)), drop, is_member)
