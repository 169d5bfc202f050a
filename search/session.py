"""One search in one run directory, from nothing or from where it was stopped."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from ..evaluators import CostTables, Inheritance, Workbench
from ..evaluators.sensitivity_table import SensitivityPlan
from ..hardware_profiles import HardwareProfile, check_host, common_capabilities
from ..hardware_profiles.transport.transport import as_profiled
from ..tasks import Task
from .asked import asked_facts
from .baseline import baseline_trials
from .clock import Clock, spent_before
from .engine import Engine
from .executor import Executor, InProcessExecutor
from .first_proposals import FirstProposals
from .inheriting_executor import InheritingExecutor
from .keeping import IN_THE_DIRECTORY, Keeper, Keeping, opened
from .logged_executor import LoggedExecutor
from .manifest import check_same, run_facts, spent_facts
from .open_ray_executor import open_ray_executor
from .patient_executor import PatientExecutor
from .pending import PendingProposals
from .proposal import PARENTS, Proposal, Proposer
from .proposer import TableProposer
from .ray_cluster import connected
from .ray_devices import open_ray_transport
from .record import Record, owned
from .reuse import Reuse, keep_reuse, open_reuse
from .reuse_plan import plan_reuse
from .run_directory import RunDirectory
from .rung_correlation import rung_correlations
from .samplers import open_sampler
from .screening import screening_accuracy
from .settings import OWN_SAMPLER, SearchSettings
from .status import OnStatus
from .tables import Tables, open_tables
from .trial import Fidelity, Trial
from .uniform_ladder import uniform_ladder
from .workers import LOCAL, Workers

Progress = Callable[[str, int, int], None]

_log = logging.getLogger(__name__)


def run_search(
    task: Task,
    profile: HardwareProfile,
    settings: SearchSettings,
    directory: RunDirectory,
    *,
    on_status: OnStatus,
    progress: Progress | None = None,
    others: Sequence[HardwareProfile] = (),
    workers: Workers | None = None,
    keeping: Keeping = IN_THE_DIRECTORY,
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
        workers: Processes that evaluate candidates side by side; None evaluates them in this one.
        keeping: Where trials and copies of files go, beside the directory.

    Returns:
        All trials of the run.

    Raises:
        ParefrontError: Anything that a person can mend; nothing was lost.
    """
    clock = Clock()
    profiles = (profile, *others)
    common_capabilities(profiles)  # checks that they go together
    open_transport = as_profiled if workers is None or workers.address == LOCAL else open_ray_transport
    for each in profiles:
        if open_transport is as_profiled:
            check_host(each)
    with owned(directory), opened(directory, task.name, keeping) as keeper, _cluster(workers, profiles):
        workbench = Workbench(
            task,
            profile,
            directory.artefacts,
            seed=settings.seed,
            options=settings.options,
            progress=progress,
            others=others,
            inheritance=settings.inheritance,
            open_transport=open_transport,
        )
        executor: Executor = InProcessExecutor(workbench)
        try:
            session = _Session(workbench, profiles, settings, directory, clock, progress, keeper, workers=workers)
            if workers is not None:
                # Now that the baseline is there for all of them.
                executor = open_ray_executor(workers, workbench, directory.artefacts, profiles, settings)
            return session.run(PatientExecutor(LoggedExecutor(executor), folder=directory.artefacts), on_status)
        finally:
            executor.close()
            workbench.close()


@contextmanager
def _cluster(workers: Workers | None, profiles: Sequence[HardwareProfile]) -> Iterator[None]:
    """Before anything else: a cluster that is not there is said at once."""
    if workers is None:
        yield
        return
    # Ray prints a paragraph on stdout for every worker that dies; what we print there is the result.
    with connected(workers, profiles), redirect_stdout(sys.stderr):
        yield


class _Session:
    """What a run begins or goes on with, and its manifest, which tells at any moment how far it came."""

    def __init__(
        self,
        workbench: Workbench,
        profiles: Sequence[HardwareProfile],
        settings: SearchSettings,
        directory: RunDirectory,
        clock: Clock,
        progress: Progress | None,
        keeper: Keeper,
        *,
        workers: Workers | None = None,
    ) -> None:
        """Opens the record, evaluates the baseline where the run has none yet, and writes the manifest."""
        self._workbench, self._settings, self._directory, self._clock = workbench, settings, directory, clock
        self._has_workers, self._keeper = workers is not None, keeper
        facts = run_facts(workbench, profiles, settings)
        existing = check_same(directory, facts)
        self._reuse = _reuse(directory, facts, workbench, settings)
        self._tables = _tables(workbench, profiles, directory, settings, progress)
        self._record = Record(
            directory,
            workbench.space,
            settings.goals,
            on_add=self._on_add,
            store=keeper.store,
            before_add=keeper.named,
        )
        keeper.go_on(self._record.trials)
        clock.before = spent_before(existing, self._record.trials)
        baseline = baseline_trials(workbench, self._record, directory, settings.goals, self._reuse)
        # What is neither training nor measuring counts as our overhead, here as later.
        self._baseline_s = clock.spent().wall_s - clock.before.wall_s - workbench.setup_s
        self._baseline_s += existing.get("seconds", {}).get("baseline", 0.0)
        self._manifest: dict[str, Any] = {
            **facts,
            "from": self._reuse.source,
            **keeper.facts,
            **asked_facts(workbench.task, profiles, settings, workers),
        }
        # Before the first trial, so that no trial is ever without what it belongs to.
        self._write_manifest(status="running")
        for trial in baseline:
            self._record.add(trial)

    def run(self, executor: Executor, on_status: OnStatus) -> list[Trial]:
        """Searches to the end."""
        if self._settings.inheritance is not Inheritance.NONE:
            executor = InheritingExecutor(executor, self._record)
        own = _proposer(self._workbench, self._settings, self._tables)
        # To judge a candidate untrained costs so little that nothing is saved by leaving it out.
        has_training = self._settings.rungs.lowest is Fidelity.SHORT
        forecaster = own if isinstance(own, TableProposer) and has_training else None
        proposer = _first(self._reuse, own)
        if self._has_workers:
            proposer = PendingProposals(self._directory.pending, proposer)
        engine = Engine(
            executor,
            proposer,
            self._record,
            on_status,
            self._settings.goals,
            limits=self._settings.limits,
            clock=self._clock,
            reuse=self._reuse,
            suffix=self._workbench.suffix,
            has_cut=self._settings.has_cut,
            forecaster=forecaster,
        )
        status = "stopped"
        try:
            engine.run(self._settings.rungs)
            status = "finished"
        finally:
            screening = screening_accuracy(self._record.trials)
            self._write_manifest(
                status=status,
                ended_by=engine.ended_by,
                cut=engine.cut,
                screening=screening.to_json() if screening else None,
                rungs=[each.to_json() for each in rung_correlations(self._record.trials)],
            )
        return self._record.trials

    def _on_add(self, trial: Trial) -> None:
        self._tables.keep(trial)
        self._keeper.note(trial)

    def _write_manifest(self, **facts: Any) -> None:
        # Whether its measurements could be stored for later searches is known at its end only.
        self._manifest |= {**facts, "tables": self._tables.summary()}
        self._manifest |= spent_facts(self._clock, self._baseline_s, self._record.trials)
        self._directory.write_manifest(self._manifest)


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
        ladder = [configuration for configuration, _ in uniform_ladder(workbench.space)] if settings.has_ladder else []
        return open_sampler(workbench.space, settings.sampler, settings.seed, settings.goals, seeds=ladder)
    return TableProposer(
        workbench.space,
        CostTables(workbench.space),
        tables.damages,
        settings.seed,
        settings.goals,
        divergences=tables.divergences or None,
        observations=tables.observations,
    )


def _first(reuse: Reuse, proposer: Proposer) -> Proposer:
    """Where accuracies do not hold, an earlier run's front is what a proposer's candidates come after."""
    if reuse.has_accuracy or not reuse.trials:
        return proposer
    proposals = [Proposal(t.configuration, f"from {reuse.source} #{t.number}", {PARENTS: []}) for t in reuse.trials]
    return FirstProposals(proposals, proposer)
