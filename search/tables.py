"""The tables that a search begins with: what earlier searches measured, and what each choice destroys.

They are read or computed once, when a run begins, and kept with the run, so that a run that goes on proposes what it
would have proposed: other searches may have added to the stored tables meanwhile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..evaluators import Workbench
from ..evaluators.calibration_draw import draw_calibration
from ..evaluators.candidate_networks import one_thread
from ..evaluators.first_order import first_order_divergences
from ..evaluators.observation import Observation
from ..evaluators.output_divergence import N_INPUTS, OutputDivergence
from ..evaluators.sensitivity import Damages, site_damages
from ..evaluators.sensitivity_table import SensitivityPlan, SensitivityTable
from ..evaluators.table_file import TableFile
from ..evaluators.table_keys import operators_path, sensitivity_path
from ..hardware_profiles import HardwareProfile, OperatorTime
from ..hardware_profiles.errors import ParefrontError, SearchError
from ..spaces import Choice
from .trial import Trial

MAX_OBSERVATIONS = 500
"""Observations of earlier searches that a search begins with: learning from them takes about half a second."""
MAX_SENSITIVITIES = 20_000
FILE = "tables.json"
SCHEMA = 1

Observations = Mapping[str, tuple[Observation, ...]]
"""By the name of the profile, that of the main one is empty."""


@dataclass(slots=True)
class Tables:
    """What a search begins with.

    Attributes:
        observations: Of earlier searches, by profile, oldest first.
        damages: What each choice destroys by the weights alone, between 0 and 1; each technique has its own scale.
        divergences: What each choice alone does to the outputs without training, between 0 and 1, on one scale for all
            techniques; empty where the outputs are no tensor or have no derivatives.
        plan: What the divergences were expected to cost; empty where none were measured.
        problem: Why measurements can no longer be stored for later searches; empty while they can.
    """

    observations: Observations
    damages: Damages
    divergences: Damages = field(default_factory=dict)
    plan: str = ""
    problem: str = ""
    _stores: Mapping[str, TableFile] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """How much it is, as plain data for the record."""
        return {
            "observations": {name: len(kept) for name, kept in self.observations.items()},
            "divergences": len(self.divergences),
            "plan": self.plan,
            "problem": self.problem,
        }

    def keep(self, trial: Trial) -> None:
        """Stores what was measured of an ended trial's structure for later searches; nothing where nothing was."""
        for name, store in self._stores.items():
            observation = observed(trial, name)
            if observation is not None and not self.problem:
                try:
                    store.add(observation.to_entry())
                except OSError as error:  # a full cache is no reason to lose a search
                    self.problem = f"{store.path}: {error}"


def open_tables(
    workbench: Workbench,
    profiles: Sequence[HardwareProfile],
    directory: Path,
    *,
    has_reuse: bool = True,
    max_seconds: float = 0.0,
    on_plan: Callable[[SensitivityPlan], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tables:
    """The tables of a run: those that it began with, or, where it begins now, those of today.

    Args:
        workbench: Its network, space, data and machines.
        profiles: The main one first.
        directory: Of the run.
        has_reuse: Whether to begin with what earlier searches measured; what this one measures is kept in any case.
        max_seconds: What measuring divergences may take; with 0, those that are stored are used, if any may be.
        on_plan: Told what measuring will take before most of it begins.
        progress: Told how many sites are estimated, of how many, then how many choices measured, of those to measure.

    Raises:
        SearchError: The run's tables cannot be read.
    """
    path = directory / FILE
    names = ["", *(profile.name for profile in profiles[1:])]
    machines = [workbench.machines[profile.name] for profile in profiles]
    stores = {
        name: TableFile(operators_path(workbench.space, profile, machine), MAX_OBSERVATIONS)
        for name, profile, machine in zip(names, profiles, machines, strict=True)
    }
    if path.is_file():
        tables = read_tables(path)
    else:
        tables = Tables(
            {name: _observations(store, workbench) if has_reuse else () for name, store in stores.items()},
            site_damages(workbench.network, workbench.space),
        )
        with one_thread():
            _find_divergences(tables, workbench, max_seconds, has_reuse, on_plan, progress)
        _write(tables, path)
    tables._stores = stores
    return tables


def observed(trial: Trial, profile: str = "") -> Observation | None:
    """What was measured of a trial on a profile; None of promotions, and where nothing was measured here."""
    at = f"@{profile}" if profile else ""
    times = tuple(OperatorTime(*row) for row in trial.details.get(f"operators{at}", ()))
    is_taken_over = trial.is_reused and not trial.seconds
    if trial.parent is not None or is_taken_over or not times or f"latency_ms{at}" not in trial.scores:
        return None
    size = trial.scores.get(f"size_bytes{at}", trial.scores["size_bytes"])
    return Observation(trial.configuration, times, trial.value(f"latency_ms{at}"), size.value)


def _observations(store: TableFile, workbench: Workbench) -> tuple[Observation, ...]:
    """What is stored and fits the space; of another space's choices nothing can be learnt here."""
    found = (_observation(entry) for entry in store.read())
    return tuple(each for each in found if each is not None and each.is_in(workbench.space))


def _observation(entry: Mapping[str, Any]) -> Observation | None:
    try:
        return Observation.from_entry(entry)
    except (LookupError, TypeError, ValueError, ParefrontError):
        return None  # not written by this version: measured again sooner or later


def _find_divergences(
    tables: Tables,
    workbench: Workbench,
    max_seconds: float,
    has_reuse: bool,
    on_plan: Callable[[SensitivityPlan], None] | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Sets the divergences: estimates for next to nothing, corrected by what is stored or measured within the time."""
    inputs: Tensor = draw_calibration(workbench.data.train, workbench.seed).inputs[:N_INPUTS]
    tables.divergences = first_order_divergences(workbench.network, workbench.space, inputs, progress)
    path = sensitivity_path(workbench.network, inputs, workbench.options)
    if not tables.divergences or (max_seconds <= 0 and not (has_reuse and path.is_file())):
        return
    divergence = OutputDivergence(workbench.network, inputs, workbench.options)
    table = SensitivityTable(workbench.space, divergence, TableFile(path, MAX_SENSITIVITIES))
    try:
        plan = table.plan(max_seconds)
        tables.plan = str(plan)
        if on_plan is not None:
            on_plan(plan)
        table.measure(plan, progress)
    except OSError as error:
        tables.problem = f"{path}: {error}"
    tables.divergences = table.damages(tables.divergences)


def _write(tables: Tables, path: Path) -> None:
    facts = {
        "schema": SCHEMA,
        "observations": {name: [each.to_entry() for each in kept] for name, kept in tables.observations.items()},
        "damages": _as_lists(tables.damages),
        "divergences": _as_lists(tables.divergences),
        "plan": tables.plan,
    }
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(facts))
    partial.replace(path)


def _as_lists(damages: Damages) -> dict[str, list[tuple[Choice, float]]]:
    """The same for JSON, whose keys are strings, while a choice may be a number."""
    return {site: list(values.items()) for site, values in damages.items()}


def _from_lists(lists: Mapping[str, Sequence[tuple[Choice, float]]]) -> Damages:
    return {site: dict(values) for site, values in lists.items()}


def read_tables(path: Path) -> Tables:
    """The tables that a run began with.

    Args:
        path: The file `FILE` of the run's directory.

    Raises:
        SearchError: They cannot be read.
    """
    try:
        facts = json.loads(path.read_text())
        observations = {
            name: tuple(Observation.from_entry(entry) for entry in entries)
            for name, entries in facts["observations"].items()
        }
        damages, divergences = (_from_lists(facts[name]) for name in ("damages", "divergences"))
        return Tables(observations, damages, divergences, facts["plan"])
    except (LookupError, TypeError, ValueError, AttributeError, ParefrontError) as error:
        raise SearchError(
            f"a run goes on with the tables it began with, but {path} cannot be read ({error}): choose another --out"
        ) from error
