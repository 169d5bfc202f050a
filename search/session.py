"""One search in one run directory, from nothing or from where it was stopped."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..evaluators import CostTables, Workbench
from ..evaluators.sensitivity_table import SensitivityPlan
from ..hardware_profiles import HardwareProfile, check_host, common_capabilities
from ..hardware_profiles.errors import SearchError, unknown_name
from ..hardware_profiles.fingerprint import Fingerprint
from ..spaces import DEFAULT_OPTIONS, CompressionOptions
from ..tasks import Task
from .baseline import N_BASELINE_TRIALS, baseline_trials
from .clock import Clock, spent_before
from .engine import Engine
from .executor import InProcessExecutor
from .first_proposals import FirstProposals
from .goals import DEFAULT_GOALS, Goals
from .optuna_proposer import SAMPLERS, OptunaProposer
from .patient_executor import PatientExecutor
from .proposal import PARENTS, Proposal, Proposer
from .proposer import TableProposer
from .record import Record, owned
from .reuse import Reuse, keep_reuse, open_reuse
from .reuse_plan import plan_reuse
from .run_directory import RunDirectory
from .rung_correlation import rung_correlations
from .rungs import AIMED, Rungs
from .screening import screening_accuracy
from .status import OnStatus
from .stopping import NO_LIMITS, Limits
from .tables import Tables, open_tables
from .trial import Trial

OWN_SAMPLER = "tables"
N_REPEATS = 8
WORK_STAGES = ("baseline", "train", "evaluate", "export", "measure")
"""What a search is for; all other time is our overhead."""

Progress = Callable[[str, int, int], None]

_log = logging.getLogger(__name__)


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
        limits: What ends the search beside its trials.
        n_repeats: Trials that may be measured again, where the front turns on a difference that is not sure.
        earlier: Directory of a run to begin from; None for none. A run goes on with what it took.
        table_seconds: What measuring each choice's effect on the outputs may take before the search.
        has_stored_tables: Whether to begin with the operator times that earlier searches measured.
    """

    n_trials: int
    n_final: int = 8
    seed: int = 0
    sampler: str = OWN_SAMPLER
    options: CompressionOptions = DEFAULT_OPTIONS
    n_short: int | None = None
    promotion: str = AIMED
    goals: Goals = DEFAULT_GOALS
    limits: Limits = NO_LIMITS
    n_repeats: int = N_REPEATS
    earlier: Path | None = None
    table_seconds: float = 0.0
    has_stored_tables: bool = True

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
        return Rungs(self.n_trials, self.n_short, self.n_final, self.promotion, self.n_repeats)


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
    clock = Clock()
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
            existing = _check_same(directory, facts)
            reuse = _reuse(directory, facts, workbench, settings)
            tables = _tables(workbench, profiles, directory, settings, progress)
            record = Record(directory, workbench.space, settings.goals, on_add=tables.keep)
            clock.before = spent_before(existing, record.trials)
            baseline = baseline_trials(workbench, record, directory, settings.goals, reuse)
            # What is neither training nor measuring counts as our overhead, here as later.
            baseline_s = clock.spent().wall_s - clock.before.wall_s - workbench.setup_s
            baseline_s += existing.get("seconds", {}).get("baseline", 0.0)
            facts |= {"tables": tables.summary()}
            manifest = {**facts, "from": reuse.source, "status": "running", **_spent(clock, baseline_s, record.trials)}
            # Before the first trial, so that no trial is ever without what it belongs to.
            directory.write_manifest(manifest)
            for trial in baseline:
                record.add(trial)
            engine = Engine(
                executor,
                _first(reuse, _proposer(workbench, settings, tables)),
                record,
                on_status,
                settings.goals,
                limits=settings.limits,
                clock=clock,
                reuse=reuse,
                suffix=workbench.suffix,
            )
            try:
                engine.run(settings.rungs)
                manifest["status"] = "finished"
            finally:
                if manifest["status"] == "running":
                    manifest["status"] = "stopped"
                manifest |= _spent(clock, baseline_s, record.trials)
                manifest |= {"ended_by": engine.ended_by, "cut": engine.cut}
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


def _check_same(directory: RunDirectory, facts: dict[str, Any]) -> dict[str, Any]:
    """Refuses a directory whose run cannot be continued; gives its manifest, empty where it begins."""
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
    return existing


def _in_words(name: str, fact: Any) -> str:
    return Goals.from_json(fact).text if name == "goals" else str(fact)[:16]


def _tables(
    workbench: Workbench,
    profiles: Sequence[HardwareProfile],
    directory: RunDirectory,
    settings: SearchSettings,
    progress: Progress | None,
) -> Tables:
    """What the search knows before it measures anything; says what more of it costs before that is spent."""

    def tell_plan(plan: SensitivityPlan) -> None:
        if progress is not None:
            progress(f"effect of single choices, {plan.seconds:.0f} s", 0, plan.n_measured)

    def tell_step(step: int, total: int) -> None:
        if progress is not None:
            progress("effect of single choices", step, total)

    return open_tables(
        workbench,
        profiles,
        directory.root,
        has_reuse=settings.has_stored_tables,
        max_seconds=settings.table_seconds,
        on_plan=tell_plan,
        progress=tell_step,
    )


def _proposer(workbench: Workbench, settings: SearchSettings, tables: Tables) -> Proposer:
    if settings.sampler != OWN_SAMPLER:
        return OptunaProposer(workbench.space, settings.sampler, settings.seed, settings.goals)
    return TableProposer(
        workbench.space,
        CostTables(workbench.space),
        tables.damages,
        settings.seed,
        settings.goals,
        divergences=tables.divergences or None,
        observations=tables.observations,
    )


def _spent(clock: Clock, baseline_s: float, trials: Sequence[Trial]) -> dict[str, Any]:
    """What the run took so far, for its manifest: wall seconds by stage, and processor seconds.

    What no stage accounts for is overhead, and so is `prepare`, which is our own code.
    """
    spent = clock.spent()
    seconds = {"baseline": baseline_s, "total": spent.wall_s}
    for trial in trials[N_BASELINE_TRIALS:]:
        for stage in set(WORK_STAGES) & set(trial.seconds):
            seconds[stage] = seconds.get(stage, 0.0) + trial.seconds[stage]
    seconds["overhead"] = max(0.0, spent.wall_s - sum(seconds.get(stage, 0.0) for stage in WORK_STAGES))
    return {"seconds": seconds, "cpu_seconds": spent.cpu_s, "overhead_fraction": overhead_fraction(seconds)}


def _reuse(directory: RunDirectory, facts: dict[str, Any], workbench: Workbench, settings: SearchSettings) -> Reuse:
    """What the run takes from an earlier one: decided when it begins, and said."""
    reuse = open_reuse(settings.earlier, directory)
    if reuse is None:
        assert settings.earlier is not None, "only a named run is still to be read"
        reuse = plan_reuse(settings.earlier, facts, workbench.space, settings.goals)
        keep_reuse(reuse, RunDirectory(settings.earlier), directory, workbench.suffix)
    if reuse.source:
        _log.info("%s", reuse.summary)
    return reuse


def _first(reuse: Reuse, proposer: Proposer) -> Proposer:
    """Where accuracies do not hold, an earlier run's front is what a proposer's candidates come after."""
    if reuse.has_accuracy or not reuse.trials:
        return proposer
    proposals = [Proposal(t.configuration, f"from {reuse.source} #{t.number}", {PARENTS: []}) for t in reuse.trials]
    return FirstProposals(proposals, proposer)
