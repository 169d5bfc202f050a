"""What a sweep consists of: tasks x hardware x seeds x settings, one search each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hardware_profiles.errors import SearchError

Flags = Mapping[str, str | list[str]]
"""Flags of `parefront search` by their long names without dashes, as text; a list where one may be repeated."""
OWN_FLAGS = ("task", "hardware", "seed", "out")
"""What the sweep gives each of its searches itself."""
_NOT_IN_A_NAME = re.compile(r"[^\w.+@-]+")


@dataclass(frozen=True, slots=True)
class SweepSearch:
    """One search of a sweep.

    Attributes:
        name: Of its run directory inside the sweep's: `digits.cpu-ort-1t.default.s0`.
        task: Name of the task.
        hardware: Names of the profiles that it measures on, joined with `+`.
        setting: Name of the set of flags.
        seed: Of proposals and training.
        flags: All that `parefront search` is told.
        n_trials: Candidates that it will evaluate.
        n_finals: Members of the front that get the full fine-tune.
        n_samples: Training samples that all of them take at the most; 0 where that is not known.
        n_cpus: Cores that it asks Ray for, and threads of its training.
        n_gpus: GPUs that it asks for; a fraction shares one; 0 leaves it all that there are.
        memory_bytes: Memory that it asks for.
        devices: Profiles that are measured on the machine where the search runs; the others are reached from anywhere.
    """

    name: str
    task: str
    hardware: str
    setting: str
    seed: int
    flags: Flags
    n_trials: int = 0
    n_finals: int = 0
    n_samples: int = 0
    n_cpus: int = 1
    n_gpus: float = 0.0
    memory_bytes: int = 0
    devices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> SweepSearch:
        """From what `to_json` gave."""
        return cls(**{**facts, "devices": tuple(facts["devices"])})


@dataclass(frozen=True, slots=True)
class SweepAxes:
    """What is to be combined with what.

    Attributes:
        tasks: What `load_task` takes, by the name of the task.
        hardware: Profiles that are measured together, by their joined name.
        seeds: Of proposals and training.
        settings: Sets of flags by name.
        common: Flags of all searches; those of a setting win.
    """

    tasks: Mapping[str, str]
    hardware: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    settings: Mapping[str, Flags]
    common: Flags


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """All searches of a sweep, and how they are run.

    Attributes:
        searches: In the order in which they begin.
        concurrency: Searches that run at the same time.
        retries: How often a search that fails goes on from its run directory.
        directory: What relative paths of tasks refer to.
        version: Of parefront, the same on all nodes.
    """

    searches: tuple[SweepSearch, ...]
    concurrency: int
    retries: int
    directory: Path
    version: str

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise SearchError(f"{name} of a sweep must be {least} or more, got {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        searches = [each.to_json() for each in self.searches]
        return {**facts, "searches": searches, "directory": str(self.directory)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> SweepPlan:
        """From what `to_json` gave."""
        searches = tuple(SweepSearch.from_json(each) for each in facts["searches"])
        return cls(**{**facts, "searches": searches, "directory": Path(facts["directory"])})


def expand(axes: SweepAxes, out: Path) -> list[SweepSearch]:
    """One search for each combination; the seeds come last, so that each setting has a result early.

    Args:
        axes: What is combined.
        out: The sweep's directory; absolute, as searches may run elsewhere.

    Raises:
        SearchError: Two searches would have the same directory.
    """
    combinations = itertools.product(axes.seeds, axes.tasks, axes.hardware, axes.settings)
    searches = [_search(axes, out, *each) for each in combinations]
    names = [each.name for each in searches]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise SearchError(
            f"each search of a sweep must have a name of its own, but two are called {double}: rename one"
        )
    return searches


def _search(axes: SweepAxes, out: Path, seed: int, task: str, hardware: str, setting: str) -> SweepSearch:
    name = _NOT_IN_A_NAME.sub("-", f"{task}.{hardware}.{setting}.s{seed}")
    own: Flags = {
        "task": axes.tasks[task],
        "hardware": list(axes.hardware[hardware]),
        "seed": str(seed),
        "out": str(out / name),
    }
    flags = {**axes.common, **axes.settings[setting], **own}
    return SweepSearch(name, task, hardware, setting, seed, flags)
