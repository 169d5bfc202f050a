"""One search in one run directory, from nothing or from where it was stopped."""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluators import CostTables, Evaluation, Workbench
from ..evaluators.sensitivity import site_damages
from ..hardware_profiles import HardwareProfile, check_host, common_capabilities
from ..hardware_profiles.errors import SearchError, unknown_name
from ..hardware_profiles.fingerprint import Fingerprint
from ..spaces import DEFAULT_OPTIONS, CompressionOptions, Configuration
from ..tasks import Task
from .ended import as_trial
from .engine import Engine
from .executor import InProcessExecutor
from .feasibility import check_accuracy_limit, check_measured, check_structural_limits
from .goals import DEFAULT_GOALS, Goals
from .optuna_proposer import SAMPLERS, OptunaProposer
from .patient_executor import PatientExecutor
from .proposal import Proposal, Proposer
from .proposer import TableProposer
from .record import Record, owned
from .run_directory import RunDirectory
from .rung_correlation import rung_correlations
from .rungs import AIMED, Rungs
from .screening import screening_accuracy
from .status import OnStatus
from .trial import Fidelity, State, Trial

OWN_SAMPLER = "tables"
N_BASELINE_TRIALS = 2
WORK_STAGES = ("baseline", "train", "evaluate", "export", "measure")
"""What a search is for; all other time is our overhead."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """What a search is asked to do.

    Attributes:
        n_trials: Candidates, failed and closed ones counted.
        n_final: Members of the front that get the full fine-tune.
        seed: Of proposals and training.
        sampler: `tables` (ours), or one of Optuna's: `random`, `nsga2`, `tpe`.
        options: How the techniques work where there is more than one way.
        n_short: Candidates that get the short fine-tune, chosen by what they reach untrained; None where all do.
        promotion: Who gets the full fine-tune, see `Rungs`.
        goals: What is traded off, within which limits.
    """

    n_trials: int
    n_final: int = 8
    seed: int = 0
    sampler: str = OWN_SAMPLER
    options: CompressionOptions = DEFAULT_OPTIONS
    n_short: int | None = None
    promotion: str = AIMED
    goals: Goals = DEFAULT_GOALS

    def __post_init__(self) -> None:
        for name in ("n_trials", "n_final"):
            if getattr(self, name) < 0:
                raise SearchError(f"{name} must be 0 or more, got {getattr(self, name)}")
        known = (OWN_SAMPLER, *SAMPLERS)
        if self.sampler not in known:
            raise SearchError(unknown_name("sampler", self.sampler, known))
        _ = self.rungs  # checks them

    @property
    def rungs(self) -> Rungs:
        """How many candidates get how much training."""
        return Rungs(self.n_trials, self.n_short, self.n_final, self.promotion)


def run_search(
    task: Task,
    profile: HardwareProfile,
    settings: SearchSettings,
    directory: RunDirectory,
    *,
    on_status: OnStatus,
    progress: Progress | None = None,
    others: Sequence[HardwareProfile] = (),
) -> list[Trial]:
    """Runs or resumes a search; every ended trial is on disk, so that it may be killed at any moment.

    Args:
        task: What is compressed.
        profile: The main hardware profile: accuracy is measured through its file.
        settings: What is asked.
        directory: Where everything is kept.
        on_status: Told about every ended trial.
        progress: Told about steps of training.
        others: Further profiles that every candidate is measured on.

    Returns:
        All trials of the run.

    Raises:
        ParefrontError: Anything that a person can mend; nothing was lost.
    """
    started = time.perf_counter()
    profiles = (profile, *others)
    common_capabilities(profiles)  # checks that they go together
    for each in profiles:
        check_host(each)
    with owned(directory):
        workbench = Workbench(
            task,
            profile,
            directory.artefacts,
            seed=settings.seed,
            options=settings.options,
            progress=progress,
            others=others,
        )
        executor = PatientExecutor(InProcessExecutor(workbench))
        try:
            facts = _facts(workbench, profiles, settings)
            earlier = _check_same(directory, facts)
            record = Record(directory, workbench.space, settings.goals)
            baseline = _baseline_trials(workbench, record, directory, settings.goals)
            manifest = {**facts, "status": "running", "seconds": earlier}
            # Before the first trial, so that no trial is ever without what it belongs to.
            directory.write_manifest(manifest)
            for trial in baseline:
                record.add(trial)
            n_before = len(record.trials)
            # What is neither training nor measuring counts as our overhead, here as later.
            baseline_s = time.perf_counter() - started - workbench.setup_s
            try:
                engine = Engine(executor, _proposer(workbench, settings), record, on_status, settings.goals)
                engine.run(settings.rungs)
                manifest["status"] = "finished"
            finally:
                if manifest["status"] == "running":
                    manifest["status"] = "stopped"
                total = time.perf_counter() - started
                seconds = _added(earlier, _time_spent(record.trials[n_before:], baseline_s, total))
                manifest |= {"seconds": seconds, "overhead_fraction": overhead_fraction(seconds)}
                screening = screening_accuracy(record.trials)
                manifest |= {"screening": screening.to_json() if screening else None}
                manifest |= {"rungs": [each.to_json() for each in rung_correlations(record.trials)]}
                directory.write_manifest(manifest)
            return record.trials
        finally:
            executor.close()


def overhead_fraction(seconds: dict[str, float]) -> float:
    """Share of the wall time that is not training, evaluating, exporting or measuring."""
    return seconds.get("overhead", 0.0) / max(1e-9, seconds.get("total", 0.0))


def _facts(workbench: Workbench, profiles: Sequence[HardwareProfile], settings: SearchSettings) -> dict[str, Any]:
    main, *others = (_profile_facts(profile, workbench.machines[profile.name]) for profile in profiles)
    return {
        **main,
        "profiles": [main, *others],
        **{_OTHER + name: ", ".join(facts[name] for facts in others) or NONE for name in _IDENTITY},
        "version": importlib.metadata.version("parefront"),
        "task": workbench.task.name,
        "task_key": workbench.key(),
        "seed": settings.seed,
        "sampler": settings.sampler,
        "options": asdict(settings.options),
        "n_trials": settings.n_trials,
        "n_final": settings.n_final,
        "n_short": settings.n_short,
        "promotion": settings.promotion,
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


def _profile_facts(profile: HardwareProfile, machine: Fingerprint) -> dict[str, Any]:
    """What is measured on, and by what."""
    return {
        "hardware": profile.name,
        "profile": profile.model_dump(mode="json"),
        "profile_key": profile.content_key(),
        "fingerprint": asdict(machine),
        "fingerprint_key": machine.key,
    }


NONE = "none"
_OTHER = "other_"
_IDENTITY = ("hardware", "profile_key", "fingerprint_key")
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
}


def _check_same(directory: RunDirectory, facts: dict[str, Any]) -> dict[str, float]:
    """Refuses a directory whose run cannot be continued; gives the time that the run took so far."""
    existing = directory.read_manifest()
    if existing is None:
        return {}
    # Before goals could be chosen they were the default ones.
    existing = {"goals": DEFAULT_GOALS.to_json(), **existing}
    for name, what in _SAME.items():
        if existing.get(name, NONE) != facts[name]:
            was, now = (_in_words(name, each.get(name, NONE)) for each in (existing, facts))
            raise SearchError(
                f"a run goes on only as it began, but the {what} of {directory.root} was {was}, now {now}: "
                "choose another --out"
            )
    seconds: dict[str, float] = existing.get("seconds", {})
    return seconds


def _in_words(name: str, fact: Any) -> str:
    return Goals.from_json(fact).text if name == "goals" else str(fact)[:16]


def _proposer(workbench: Workbench, settings: SearchSettings) -> Proposer:
    if settings.sampler != OWN_SAMPLER:
        return OptunaProposer(workbench.space, settings.sampler, settings.seed, settings.goals)
    damages = site_damages(workbench.network, workbench.space)
    return TableProposer(workbench.space, CostTables(workbench.space), damages, settings.seed, settings.goals)


def _baseline_trials(workbench: Workbench, record: Record, directory: RunDirectory, goals: Goals) -> list[Trial]:
    """Sets the workbench's reference; gives what the record lacks of trials 0 and 1.

    Trial 0 is the baseline as it came, trial 1 the same given the full fine-tune; drops refer to the better one.
    """
    memory = directory.artefacts / "baseline.npz"
    if len(record.trials) >= N_BASELINE_TRIALS:
        _remember_baseline(workbench, memory)
        return []
    anchors = workbench.anchor()
    plain = workbench.baseline("baseline")
    usable, reached = workbench.task.usable_accuracy, plain.scores["accuracy"].value
    if reached < usable:
        raise SearchError(
            f"the baseline's accuracy must be at least {usable:g} %, got {reached:.1f} %: train it better, or lower "
            "the task's usable_accuracy"
        )
    check_measured(goals, plain.scores)
    check_accuracy_limit(goals, reached)
    check_structural_limits(goals, workbench, plain.scores)
    tuned = workbench.full(Configuration(), "baseline-tuned")
    better = max((plain, tuned), key=lambda evaluation: evaluation.scores["accuracy"].value)
    assert better.samples is not None
    assert better.test_samples is not None
    workbench.set_reference(better.samples, better.test_samples)
    np.savez(memory, samples=better.samples, test_samples=better.test_samples, anchors_ms=json.dumps(anchors))
    trials = [
        _baseline_trial(0, workbench.with_drops(plain), "baseline", Fidelity.SHORT),
        _baseline_trial(1, workbench.with_drops(tuned), "baseline, full fine-tune", Fidelity.FULL),
    ]
    return trials[len(record.trials) :]  # a kill between the two leaves the first one


def _remember_baseline(workbench: Workbench, memory: Path) -> None:
    """Sets the reference and the anchors to what they were when the run began."""
    if not memory.is_file():
        raise SearchError(
            f"the baseline's results must stay with the run, but {memory} is gone: restore it or choose another --out"
        )
    with np.load(memory, allow_pickle=False) as saved:
        workbench.set_reference(saved["samples"], saved["test_samples"])
        anchors_ms: dict[str, float] = json.loads(str(saved["anchors_ms"]))
    workbench.anchor(anchors_ms)


def _baseline_trial(number: int, evaluation: Evaluation, origin: str, fidelity: Fidelity) -> Trial:
    proposal = Proposal(Configuration(), origin)
    return as_trial(number, proposal, State.COMPLETE, fidelity, evaluation, reason=evaluation.reason)


def _time_spent(trials: list[Trial], baseline_s: float, total: float) -> dict[str, float]:
    """Wall seconds by stage; what no stage accounts for is overhead, and so is `prepare`, which is our own code."""
    seconds = {"baseline": baseline_s, "total": total}
    for trial in trials:
        for stage in set(WORK_STAGES) & set(trial.seconds):
            seconds[stage] = seconds.get(stage, 0.0) + trial.seconds[stage]
    seconds["overhead"] = max(0.0, total - sum(seconds.get(stage, 0.0) for stage in WORK_STAGES))
    return seconds


def _added(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
    return {stage: a.get(stage, 0.0) + b.get(stage, 0.0) for stage in {**a, **b}}
