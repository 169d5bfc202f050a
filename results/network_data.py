"""A network before and after: channels, decisions and time of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..search.trial import Trial
from ..spaces.site import Site
from .layer_decisions import decide_layer, sites_by_layer
from .layer_times import layer_times
from .load import Run

ALL_ELSE = "all else"
"""Row of the operators that belong to no layer: conversions, additions, pooling."""


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One layer.

    Attributes:
        name: Of the layer in the original network.
        channels: It gives before.
        kept: It gives after; 0 where the layer is gone.
        words: What was done to it.
        before_us: Microseconds in the baseline; None where it was not profiled.
        after_us: Microseconds in the compressed network; None where it was not profiled.
    """

    name: str
    channels: int
    kept: int
    words: tuple[str, ...]
    before_us: float | None
    after_us: float | None


@dataclass(frozen=True, slots=True)
class NetworkData:
    """The diagram.

    Attributes:
        number: Of the compressed trial.
        rows: In the order of the network; the last one, without channels, is all that belongs to no layer.
        before_ms: Latency of the baseline, to which its times add up.
        after_ms: Latency of the compressed network.
    """

    number: int
    rows: tuple[NetworkRow, ...]
    before_ms: float | None
    after_ms: float | None


def network_data(run: Run, trial: Trial) -> NetworkData:
    """Puts a trial beside the baseline."""
    baseline = run.findings.baseline
    before, after = {} if baseline is None else layer_times(baseline), layer_times(trial)
    layers = list(run.manifest.get("layers", ()))
    by_layer = sites_by_layer([str(layer["name"]) for layer in layers], run.sites)
    rows = []
    for layer in layers:
        name, channels = str(layer["name"]), int(layer["out_channels"])
        words = decide_layer(name, by_layer[name], trial.configuration).words
        kept = _kept(name, channels, by_layer[name], trial, after)
        rows.append(NetworkRow(name, channels, kept, words, _time(before, name), _time(after, name)))
    if before or after:
        rows.append(NetworkRow(ALL_ELSE, 0, 0, (), _time(before, None), _time(after, None)))
    return NetworkData(trial.number, tuple(rows), _latency(baseline), _latency(trial))


def _kept(name: str, channels: int, sites: list[Site], trial: Trial, after: Mapping[str | None, float]) -> int:
    """Channels that a layer gives after; where the profile no longer knows the layer, a neighbour took it in."""
    chosen = {site: trial.configuration.get(site.name, site.neutral) for site in sites}
    touching = {site: choice for site, choice in chosen.items() if name in site.touched(choice)}
    if after and name not in after and any(site.technique == "fold" for site in touching):
        return 0
    widths = [choice for site, choice in touching.items() if site.technique == "prune" and site.neutral == channels]
    return next((width for width in widths if isinstance(width, int)), channels)


def _time(times: Mapping[str | None, float], layer: str | None) -> float | None:
    return times.get(layer, 0.0) if times else None


def _latency(trial: Trial | None) -> float | None:
    return trial.value("latency_ms") if trial is not None and "latency_ms" in trial.scores else None
