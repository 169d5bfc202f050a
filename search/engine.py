"""The search: proposes, evaluates structure first, trains what is promising, and finishes the front's members."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..evaluators import Evaluation
from ..hardware_profiles.errors import SearchError
from .executor import Executor, Failure, Job, Stage
from .front import best_within, complete, front, front_hypervolume
from .pareto import dominates
from .promotion import next_promotion
from .proposer import Proposal, Proposer
from .record import Record
from .trial import Fidelity, State, Trial

MAX_FIRST_FAILURES = 10
"""When all of so many first trials fail, the fault is not in the candidates."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a search stands, for the display.

    Attributes:
        phase: `search` or `final members`.
        n_done: Trials ended in this phase.
        n_total: Trials of this phase.
        n_front: Members of the front at the fidelity of the phase.
        hypervolume: Share of the box, 0 to 1.
        best_speedup: Of the fastest trial within one point; None if there is none.
        eta_s: Seconds left, both phases; None before anything was timed.
        last: One line about the trial that ended last.
    """

    phase: str
    n_done: int
    n_total: int
    n_front: int
    hypervolume: float
    best_speedup: float | None
    eta_s: float | None
    last: str = ""


OnStatus = Callable[[Status], None]


@dataclass(slots=True)
class _Work:
    """A proposal under way."""

    proposal: Proposal
    seconds: dict[str, float] = field(default_factory=dict)
    structure: Evaluation | None = None


class Engine:
    """Runs one search to its end, or as far as it is let; every ended trial is in the record before the next starts."""

    def __init__(self, executor: Executor, proposer: Proposer, record: Record, on_status: OnStatus) -> None:
        self._executor, self._proposer, self._record, self._on_status = executor, proposer, record, on_status
        self._started = time.perf_counter()
        self._durations: dict[str, list[float]] = {"search": [], "final members": []}

    def run(self, n_trials: int, n_final: int) -> None:
        """Searches until `n_trials` trials ended, then gives `n_final` members the full fine-tune.

        Raises:
            SearchError: The first ten trials all failed.
        """
        for trial in self._record.trials:
            if trial.fidelity is Fidelity.SHORT:
                self._proposer.tell(trial)
        self._search(n_trials, n_final)
        self._finish(n_final)

    def _search(self, n_trials: int, n_final: int) -> None:
        work: dict[int, _Work] = {}
        ticket = len(self._record.trials)
        is_exhausted = False
        while True:
            room = min(self._executor.n_slots - len(work), n_trials - self._n_searched() - len(work))
            proposals = self._proposer.ask(room) if room > 0 and not is_exhausted else []
            is_exhausted = is_exhausted or (room > 0 and not proposals)
            for proposal in proposals:
                work[ticket] = _Work(proposal)
                self._submit(ticket, Stage.STRUCTURE, work[ticket])
                ticket += 1
            if not work:
                return
            started = time.perf_counter()
            job, outcome = self._executor.next_done()
            trial = self._advance(job, outcome, work)
            self._durations["search"].append(time.perf_counter() - started)
            if trial is not None:
                del work[job.ticket]
                self._proposer.tell(trial)
                self._report("search", self._n_searched(), n_trials, n_final, trial)
                self._stop_if_all_fail()

    def _advance(self, job: Job, outcome: Evaluation | Failure, work: Mapping[int, _Work]) -> Trial | None:
        """Takes a result; gives the trial it ended, or None where the next stage was submitted."""
        item = work[job.ticket]
        if isinstance(outcome, Failure):
            return self._add(item, State.FAILED, Fidelity.SHORT, reason=outcome.reason)
        if job.stage is Stage.STRUCTURE:
            if outcome.reason:
                return self._add(item, State.FAILED, Fidelity.SHORT, outcome, reason=outcome.reason)
            if outcome.broken_limit:
                return self._add(item, State.DOMINATED, Fidelity.SHORT, outcome, reason=outcome.broken_limit)
            closed_by = self._dominating(outcome)
            if closed_by is not None:
                reason = f"not faster, smaller or possibly more accurate than #{closed_by.number}"
                return self._add(item, State.DOMINATED, Fidelity.SHORT, outcome, reason=reason)
            item.structure = outcome
            self._submit(job.ticket, Stage.SHORT, item)
            return None
        return self._add(item, State.COMPLETE, Fidelity.SHORT, outcome)

    def _finish(self, n_final: int) -> None:
        """Promotes members of the front one by one, each chosen in the light of the ones before."""
        while (n_done := self._n_final()) < n_final:
            parent = next_promotion(self._record.trials)
            if parent is None:
                break
            started = time.perf_counter()
            artefact = f"final-{parent.number}"
            self._executor.submit(Job(parent.number, Stage.FULL, parent.configuration, artefact))
            _, outcome = self._executor.next_done()
            item = _Work(Proposal(parent.configuration, f"promoted #{parent.number}"))
            trial = self._add_final(item, parent, outcome)
            self._durations["final members"].append(time.perf_counter() - started)
            self._report("final members", n_done + 1, n_final, n_final, trial)

    def _add_final(self, item: _Work, parent: Trial, outcome: Evaluation | Failure) -> Trial:
        if isinstance(outcome, Failure):
            return self._add(item, State.FAILED, Fidelity.FULL, parent=parent.number, reason=outcome.reason)
        # A member that fails parity stays visible with its reason; fronts leave it out.
        return self._add(item, State.COMPLETE, Fidelity.FULL, outcome, parent=parent.number, reason=outcome.reason)

    def _submit(self, ticket: int, stage: Stage, item: _Work) -> None:
        artefact = f"trial-{ticket}"
        self._executor.submit(Job(ticket, stage, item.proposal.configuration, artefact, item.structure))

    def _add(
        self,
        item: _Work,
        state: State,
        fidelity: Fidelity,
        outcome: Evaluation | None = None,
        *,
        parent: int | None = None,
        reason: str = "",
    ) -> Trial:
        trial = as_trial(
            len(self._record.trials), item.proposal, state, fidelity, outcome, parent=parent, reason=reason
        )
        self._record.add(trial)
        return trial

    def _dominating(self, structure: Evaluation) -> Trial | None:
        """The front member that this candidate could not beat even with the best accuracy seen plus its interval."""
        ended = complete(self._record.trials, Fidelity.SHORT)
        hoped = min((trial.scores["accuracy_drop"].low or 0.0 for trial in ended), default=0.0)
        latency = structure.scores["latency_ms"]
        low = latency.value if latency.low is None else latency.low
        candidate = (hoped, low, structure.scores["size_bytes"].value)
        for member in front(self._record.trials, Fidelity.SHORT):
            held = (member.value("accuracy_drop"), member.value("latency_ms"), member.value("size_bytes"))
            if dominates(held, candidate):
                return member
        return None

    def _n_searched(self) -> int:
        return sum(t.fidelity is Fidelity.SHORT and len(t.configuration) > 0 for t in self._record.trials)

    def _n_final(self) -> int:
        return sum(t.fidelity is Fidelity.FULL and len(t.configuration) > 0 for t in self._record.trials)

    def _stop_if_all_fail(self) -> None:
        searched = [t for t in self._record.trials if len(t.configuration) > 0]
        if len(searched) >= MAX_FIRST_FAILURES and all(t.state is State.FAILED for t in searched):
            raise SearchError(f"the first {len(searched)} trials all failed; the last one: {searched[-1].reason}")

    def _report(self, phase: str, n_done: int, n_total: int, n_final: int, last: Trial) -> None:
        trials = self._record.trials
        fidelity = Fidelity.SHORT if phase == "search" else Fidelity.FULL
        best = best_within(trials, fidelity, 1.0)
        speedup = trials[0].value("latency_ms") / best.value("latency_ms") if best is not None else None
        self._on_status(
            Status(
                phase,
                n_done,
                n_total,
                len(front(trials, fidelity)),
                front_hypervolume(trials, fidelity),
                speedup,
                self._eta(phase, n_done, n_total, n_final),
                describe(last),
            )
        )

    def _eta(self, phase: str, n_done: int, n_total: int, n_final: int) -> float | None:
        """Seconds left, by the mean so far; a final member is taken to cost three search trials at first."""
        searched = len(self._durations["search"])
        per_trial = sum(self._durations["search"]) / max(1, self._n_searched()) if searched else None
        finals = self._durations["final members"]
        per_final = sum(finals) / len(finals) if finals else (3 * per_trial if per_trial else None)
        if per_final is None:
            return None
        if phase == "search":
            return (n_total - n_done) * (per_trial or 0.0) + n_final * per_final
        return (n_total - n_done) * per_final


def as_trial(
    number: int,
    proposal: Proposal,
    state: State,
    fidelity: Fidelity,
    outcome: Evaluation | None,
    *,
    parent: int | None = None,
    reason: str = "",
) -> Trial:
    """An ended evaluation as it is recorded."""
    trial = Trial(
        number,
        proposal.configuration,
        fidelity,
        state,
        origin=proposal.origin,
        parent=parent,
        reason=reason,
        details=dict(proposal.details),
    )
    if outcome is None:
        return trial
    operators = [[t.layer, t.operator, t.precision, round(t.microseconds, 2)] for t in outcome.operator_times]
    details: dict[str, Any] = {**proposal.details, **outcome.details, "operators": operators}
    return replace(
        trial,
        scores=outcome.scores,
        seconds={stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        artefact=outcome.artefact.name if state is State.COMPLETE else None,
        is_verified=outcome.is_verified,
        details=details,
    )


def describe(trial: Trial) -> str:
    """One line about an ended trial."""
    head = f"#{trial.number} {trial.origin}"
    if trial.state is State.FAILED:
        return f"{head}: failed: {trial.reason}"
    latency = f"{trial.value('latency_ms'):.3f} ms, {trial.value('size_bytes') / 1000:.0f} kB"
    if trial.state is State.DOMINATED:
        return f"{head}: {latency}, closed"
    return f"{head}: {latency}, drop {trial.value('accuracy_drop'):.2f} pt"
