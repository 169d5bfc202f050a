"""What `inspect` finds out about a network before anything is trained."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..evaluators.estimate import Answer, Estimate, Targets, answers, estimate
from ..hardware_profiles import HardwareProfile, check_host
from ..hardware_profiles.errors import ProfileError
from ..search.constraints import Constraint
from ..spaces import (
    DEFAULT_OPTIONS,
    Choice,
    CompressionOptions,
    LeftAlone,
    Network,
    SearchSpace,
    Site,
    find_space,
    observe,
    trace,
)
from ..tasks import Task, available_network
from .limits import LimitAnswer, limit_answers

N_CALIBRATION = 8
"""Inputs that ranges are calibrated on: enough for a structure whose accuracy nobody asks for."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that `inspect` shows.

    Attributes:
        network: The traced baseline.
        space: What may be chosen in it.
        hardware: Name of the profile.
        is_trained: Whether the baseline has learned anything yet; where not, ranks are those of random weights.
        estimates: Uniform configurations from neutral to smallest; empty where this machine cannot measure.
        answers: Whether each target can be met.
        not_estimated: Why there are no estimates.
        limits: Whether each limit can be kept, and at last whether all can be at once.
    """

    network: Network
    space: SearchSpace
    hardware: str
    is_trained: bool
    estimates: tuple[Estimate, ...] = ()
    answers: tuple[Answer, ...] = ()
    not_estimated: str = ""
    limits: tuple[LimitAnswer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data, for `--json`."""
        return {
            "hardware": self.hardware,
            "is_trained": self.is_trained,
            "n_layers": len(self.network.layers),
            "macs": self.network.macs,
            "log10_configurations": log10_configurations(self.space),
            "sites": [
                {"name": site.name, "layers": list(site.layers), "choices": list(site.choices)}
                for site in self.space.sites
            ],
            "left_alone": [
                {"technique": item.technique, "name": item.name, "reason": item.reason}
                for item in self.space.left_alone
            ],
            "estimates": [each.to_json() for each in self.estimates],
            "not_estimated": self.not_estimated,
            "targets": [
                {
                    "target": each.target,
                    "limit": each.limit,
                    "can_be_met": each.can_be_met,
                    "best": each.best,
                    "by": each.by,
                }
                for each in self.answers
            ],
            "constraints": [
                {"limit": each.limit, "can_be_kept": each.can_be_kept, "explanation": each.explanation}
                for each in self.limits
            ],
        }


def inspect_task(
    task: Task,
    profile: HardwareProfile,
    targets: Targets,
    progress: Callable[[str, int, int], None],
    options: CompressionOptions = DEFAULT_OPTIONS,
    limits: Sequence[Constraint] = (),
) -> Inspection:
    """Traces a task's network, finds its space and estimates what it reaches; trains nothing.

    Args:
        task: The task; its data are read only where it has no `example_inputs`.
        profile: What it would run on.
        targets: What is to be reached.
        progress: Told (what, steps done, steps in all).
        options: How the techniques work where there is more than one way.
        limits: What a search is to keep.
    """
    if task.example_inputs is not None:
        inputs = task.example_inputs()
        module, is_trained = task.build_network().eval(), task.baseline_recipe is None
    else:
        train = task.load_data().train
        inputs = train.inputs[:N_CALIBRATION]
        module, is_trained = available_network(task, train)
    network = observe(trace(module, inputs[:2]), inputs, options)
    space = find_space(network, profile.capabilities, options)
    try:
        check_host(profile)
    except ProfileError as error:
        return Inspection(network, space, profile.name, is_trained, not_estimated=str(error))
    with tempfile.TemporaryDirectory(prefix="parefront-inspect-") as folder:
        estimates = estimate(network, space, profile, inputs, Path(folder), progress)
    found = tuple(answers(estimates, targets))
    kept = tuple(limit_answers(estimates, limits))
    return Inspection(network, space, profile.name, is_trained, tuple(estimates), found, limits=kept)


def log10_configurations(space: SearchSpace) -> float:
    """Logarithm of the number of combinations; the number itself soon leaves the range of floats."""
    return sum(math.log10(len(site.choices)) for site in space.sites)


def group_sites(sites: Sequence[Site]) -> list[tuple[str, tuple[Choice, ...], list[Site]]]:
    """Sites that offer the same: (technique, choices, sites), in the order of the first of each."""
    groups: dict[tuple[str, tuple[Choice, ...]], list[Site]] = {}
    for site in sites:
        groups.setdefault((site.technique, site.choices), []).append(site)
    return [(technique, choices, group) for (technique, choices), group in groups.items()]


def group_left_alone(items: Sequence[LeftAlone]) -> list[tuple[str, str, list[str]]]:
    """What is left alone for the same reason: (technique, reason, names), in the order of the first of each."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in items:
        groups.setdefault((item.technique, item.reason), []).append(item.name)
    return [(technique, reason, names) for (technique, reason), names in groups.items()]
