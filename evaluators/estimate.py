"""What a space reaches without any training: a few uniform configurations, built, exported and briefly measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..hardware_profiles.measuring.meter import Meter
from ..hardware_profiles.profile import HardwareProfile
from ..hardware_profiles.runtimes import get_runtime, runtime_facts
from ..spaces import Choice, Configuration, Network, SearchSpace, finish, prepare
from .macs import count_macs

NEUTRAL = "neutral"
REDUCING = frozenset({"fold", "operator", "rank"})
"""Techniques that replace layers: what they give may be larger or slower, which only a measurement tells."""
QUICK = {"burst_ms": 10.0, "warmup_ms": 10.0, "min_pairs": 6, "max_pairs": 6, "max_requeues": 0}
"""The measuring protocol of an estimate: the fewest pairs of bursts that have an interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One configuration as it would be deployed, untrained.

    Attributes:
        name: What it is, for people.
        configuration: Canonical.
        macs: Per sample.
        n_parameters: After folding BatchNorm.
        latency_ms: Briefly measured; good to a few percent on a quiet machine.
        size_bytes: Of the exported file.
        reason: Why there are no figures; empty where there are.
    """

    name: str
    configuration: Configuration
    macs: int = 0
    n_parameters: int = 0
    latency_ms: float = math.nan
    size_bytes: int = 0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; without figures, the reason only."""
        facts: dict[str, Any] = {"name": self.name, "choices": dict(self.configuration)}
        if self.reason:
            return {**facts, "reason": self.reason}
        names = ("macs", "n_parameters", "latency_ms", "size_bytes")
        return {**facts, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, slots=True)
class Targets:
    """What a network is asked to reach; None where nothing is asked.

    Attributes:
        max_latency_ms: Upper limit, in ms.
        min_speedup: How many times as fast as the neutral network.
        max_size_bytes: Upper limit of the exported file.
    """

    max_latency_ms: float | None = None
    min_speedup: float | None = None
    max_size_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether one target can be met.

    Attributes:
        target: The name in `Targets`.
        limit: What is asked.
        can_be_met: Whether one of the estimated configurations meets it.
        best: What the best of them reaches, in the unit of the target.
        by: The name of that configuration.
    """

    target: str
    limit: float
    can_be_met: bool
    best: float
    by: str


def uniform_configurations(space: SearchSpace) -> dict[str, Configuration]:
    """Uniform configurations by name, from neutral to smallest.

    The middle one takes the middle choice of every site, the milder of two. The smallest takes the last one of every
    site. Where that folds or factorises, it is there again without, because fewer layers need not be less work; and
    where its bits are not 8, again with 8, because fewer bits need not be faster.
    """
    last = {site.name: site.choices[-1] for site in space.sites}
    middle = {site.name: site.choices[(len(site.choices) - 1) // 2] for site in space.sites}
    plain: dict[str, Choice] = {site.name: last[site.name] for site in space.sites if site.technique not in REDUCING}
    int8: dict[str, Choice] = {site.name: 8 for site in space.sites if site.technique == "bits" and 8 in site.choices}
    named = {
        NEUTRAL: {},
        "middle": middle,
        "smallest": last,
        "smallest, no fold or rank": plain,
        "smallest, no fold or rank, int8": {**plain, **int8},
    }
    found: dict[str, Configuration] = {}
    for name, choices in named.items():
        configuration = space.canonical(choices)
        if configuration not in found.values():
            found[name] = configuration
    return found


def estimate(
    network: Network,
    space: SearchSpace,
    profile: HardwareProfile,
    calibration: Tensor,
    artefacts: Path,
    on_step: Callable[[str, int, int], None] | None = None,
) -> list[Estimate]:
    """Builds, exports and briefly measures the uniform configurations; the first is neutral.

    Args:
        network: The traced baseline, trained or not: nothing here depends on what it has learned.
        space: What may be chosen.
        profile: What it would run on.
        calibration: A few inputs, shape (n, ...).
        artefacts: Directory for the exported files.
        on_step: Told (what, steps done, steps in all).
    """
    configurations = uniform_configurations(space)
    quick = profile.model_copy(update={"protocol": profile.protocol.model_copy(update=QUICK)})
    found: list[Estimate] = []
    with Meter(quick) as meter:
        bench = _Bench(network, profile, calibration, meter, artefacts)
        for step, (name, configuration) in enumerate(configurations.items()):
            if on_step is not None:
                on_step(f"estimating: {name}", step, len(configurations))
            found.append(bench.estimate(name, configuration))
    return found


def answers(estimates: list[Estimate], targets: Targets) -> list[Answer]:
    """Whether each target that is set can be met by the structure; this says nothing about accuracy."""
    good = [each for each in estimates if not each.reason]
    neutral = next((each for each in good if each.name == NEUTRAL), None)
    if not good:
        return []
    fastest, smallest = min(good, key=lambda e: e.latency_ms), min(good, key=lambda e: e.size_bytes)
    found = []
    if targets.max_latency_ms is not None:
        is_met = fastest.latency_ms <= targets.max_latency_ms
        found.append(Answer("max_latency_ms", targets.max_latency_ms, is_met, fastest.latency_ms, fastest.name))
    if targets.min_speedup is not None and neutral is not None:
        best = neutral.latency_ms / fastest.latency_ms
        found.append(Answer("min_speedup", targets.min_speedup, best >= targets.min_speedup, best, fastest.name))
    if targets.max_size_bytes is not None:
        is_met = smallest.size_bytes <= targets.max_size_bytes
        found.append(Answer("max_size_bytes", targets.max_size_bytes, is_met, smallest.size_bytes, smallest.name))
    return found


@dataclass(slots=True)
class _Bench:
    """What all estimates of one network share; the first one measured becomes the reference of the others."""

    network: Network
    profile: HardwareProfile
    calibration: Tensor
    meter: Meter
    artefacts: Path
    reference: Path | None = field(default=None)

    def estimate(self, name: str, configuration: Configuration) -> Estimate:
        try:
            return self._estimate(name, configuration)
        except Exception as error:  # Whatever it is, a configuration that cannot be built is a row, not the end.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return Estimate(name, configuration, reason=reason)

    def _estimate(self, name: str, configuration: Configuration) -> Estimate:
        density = self.profile.capabilities.sparse_density
        finished = finish(prepare(self.network, configuration), configuration, self.calibration, sparse_density=density)
        path = self.artefacts / f"{configuration.key[:16]}{runtime_facts(self.profile.runtime.name).suffix}"
        inputs = tuple(each[:2] for each in self.network.example_inputs)
        get_runtime(self.profile.runtime.name).export(finished.module, inputs, finished.plan, path)
        if self.reference is None:
            latency_ms = self.meter.anchor(path)
            self.reference = path
        else:
            latency_ms = self.meter.measure(path, self.reference).latency_ms
        return Estimate(
            name,
            configuration,
            macs=count_macs(finished.module, self.network.example_inputs),
            n_parameters=_n_parameters(finished.module),
            latency_ms=latency_ms,
            size_bytes=path.stat().st_size,
        )


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
