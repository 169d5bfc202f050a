"""What `run.json` says of a run: what is searched and on what, and where the time went."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..evaluators import Workbench
from ..hardware_profiles import HardwareProfile
from ..hardware_profiles.errors import SearchError
from ..hardware_profiles.fingerprint import Fingerprint
from ..spaces import DEFAULT_OPTIONS
from .baseline import N_BASELINE_TRIALS
from .clock import ENDED, SLOTS, Clock
from .goals import DEFAULT_GOALS, Goals
from .run_directory import RunDirectory
from .settings import SearchSettings
from .trial import Trial

WORK_STAGES = ("baseline", "train", "evaluate", "export", "measure")
"""What a search is for; all other time is our overhead."""
NO_OTHERS = "none"
"""What is said of further profiles where there are none."""
_OTHER = "other_"
_IDENTITY = ("hardware", "profile_key", "fingerprint_key")
MEASURED_ON = (*_IDENTITY, *(_OTHER + name for name in _IDENTITY))
"""The facts that a latency depends on beside the structure."""
_SAME = {
    "version": "parefront version",
    "task": "task",
    "task_key": "network, data or recipes of the task",
    "hardware": "hardware profile",
    "profile_key": "settings of the hardware profile",
    "fingerprint_key": "machine",
    "other_hardware": "other hardware profiles",
    "other_profile_key": "settings of the other hardware profiles",
    "other_fingerprint_key": "other machines",
    "seed": "seed",
    "sampler": "sampler",
    "options": "options of the techniques",
    "goals": "objectives or constraints",
    "lowest_fidelity": "first fidelity of candidates",
    "inheritance": "start of short fine-tunes",
    "has_cut": "cut before training",
    "has_ladder": "start of the sampler",
}


def run_facts(workbench: Workbench, profiles: Sequence[HardwareProfile], settings: SearchSettings) -> dict[str, Any]:
    """What is searched and on what, as plain data: what a run goes on with and what it is shown by."""
    main, *others = (_profile_facts(profile, workbench.machines[profile.name]) for profile in profiles)
    return {
        **main,
        "profiles": [main, *others],
        **{_OTHER + name: ", ".join(facts[name] for facts in others) or NO_OTHERS for name in _IDENTITY},
        "version": importlib.metadata.version("parefront"),
        "task": workbench.task.name,
        "task_key": workbench.key(),
        "license": workbench.task.license,
        "seed": settings.seed,
        "sampler": settings.sampler,
        "options": settings.options.to_json(),
        "n_trials": settings.n_trials,
        "n_final": settings.n_final,
        "n_short": settings.n_short,
        "promotion": settings.promotion,
        "inheritance": settings.inheritance.value,
        "has_cut": settings.has_cut,
        "has_ladder": settings.has_ladder,
        "lowest_fidelity": settings.rungs.lowest.value,
        "goals": settings.goals.to_json(),
        "space": {
            "sites": [
                {"name": site.name, "layers": site.layers, "choices": site.choices, "spans": site.spans}
                for site in workbench.space.sites
            ]
        },
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "macs": layer.macs,
                "in_channels": layer.in_channels,
                "out_channels": layer.out_channels,
            }
            for layer in workbench.network.layers
        ],
    }


def check_same(directory: RunDirectory, facts: dict[str, Any]) -> dict[str, Any]:
    """Refuses a directory whose run cannot be continued; gives its manifest, empty where it begins.

    Args:
        directory: Of the run.
        facts: What `run_facts` gives now.

    Raises:
        SearchError: The run began otherwise.
    """
    existing = directory.read_manifest()
    if existing is None:
        return {}
    # Before these could be chosen they were the default ones.
    before = {"goals": DEFAULT_GOALS.to_json(), "inheritance": "none", "has_cut": True, "has_ladder": False}
    existing = {**before, **existing}
    known = {name: way for name, way in DEFAULT_OPTIONS.to_json().items() if name in facts["options"]}
    existing["options"] = {**known, **existing.get("options", {})}
    for name, what in _SAME.items():
        if existing.get(name, NO_OTHERS) != facts[name]:
            was, now = (_in_words(name, each.get(name, NO_OTHERS)) for each in (existing, facts))
            raise SearchError(
                f"a run goes on only as it began, but the {what} of {directory.root} was {was}, now {now}: "
                "choose another --out"
            )
    return existing


def spent_facts(clock: Clock, baseline_s: float, trials: Sequence[Trial]) -> dict[str, Any]:
    """What the run took so far, for its manifest: wall seconds by stage, and processor seconds.

    Of a trial that ran on one of n workers each stage counts a n-th: so many ran beside it. What no stage accounts for
    is overhead: `prepare`, which is our own code, and workers that had nothing to do.

    Args:
        clock: Of the run.
        baseline_s: What its baseline took, in s.
        trials: The record.
    """
    spent = clock.spent()
    seconds = {"baseline": baseline_s, "total": spent.wall_s}
    for trial in trials[N_BASELINE_TRIALS:]:
        n_beside = trial.details.get(ENDED, {}).get(SLOTS, 1)
        for stage in set(WORK_STAGES) & set(trial.seconds):
            seconds[stage] = seconds.get(stage, 0.0) + trial.seconds[stage] / n_beside
    seconds["overhead"] = max(0.0, spent.wall_s - sum(seconds.get(stage, 0.0) for stage in WORK_STAGES))
    return {"seconds": seconds, "cpu_seconds": spent.cpu_s, "overhead_fraction": overhead_fraction(seconds)}


def overhead_fraction(seconds: dict[str, float]) -> float:
    """Share of the wall time that is not training, evaluating, exporting or measuring."""
    return seconds.get("overhead", 0.0) / max(1e-9, seconds.get("total", 0.0))


def _profile_facts(profile: HardwareProfile, machine: Fingerprint) -> dict[str, Any]:
    """What is measured on, and by what."""
    return {
        "hardware": profile.name,
        "profile": profile.model_dump(mode="json"),
        "profile_key": profile.content_key(),
        "fingerprint": asdict(machine),
        "fingerprint_key": machine.key,
    }


def _in_words(name: str, fact: Any) -> str:
    return Goals.from_json(fact).text if name == "goals" else str(fact)[:16]
