"""The search: proposes, evaluates structure first, trains what is promising, and finishes the front's members."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ..evaluators import Evaluation
from ..hardware_profiles.errors import SearchError
from .aimed_promotion import next_aimed_promotion
from .ended import as_trial, structure_of
from .executor import Executor, Failure, Job, Stage
from .front import complete, front
from .goals import DEFAULT_GOALS, Goals
from .pareto import dominates
from .promotion import next_promotion, promoted
from .proposal import Proposal, Proposer
from .record import Record
from .rungs import AIMED, Rungs
from .status import FINAL_MEMBERS, SEARCH, OnStatus, Reporter
from .trial import Fidelity, State, Trial

MAX_FIRST_FAILURES = 10
"""When all of so many first trials fail, the fault is not in the candidates."""
_STAGES = {Fidelity.CALIBRATED: Stage.CALIBRATED, Fidelity.SHORT: Stage.SHORT, Fidelity.FULL: Stage.FULL}


@dataclass(slots=True)
class _Work:
    """What is under way: a proposal for the lowest rung, or the promotion of `parent` to a fidelity."""

    proposal: Proposal
    fidelity: Fidelity
    parent: Trial | None = None
    structure: Evaluation | None = None


class Engine:
    """Runs one search to its end, or as far as it is let; every ended trial is in the record before the next starts."""

    def __init__(
        self,
        executor: Executor,
        proposer: Proposer,
        record: Record,
        on_status: OnStatus,
        goals: Goals = DEFAULT_GOALS,
    ) -> None:
        self._executor, self._proposer, self._record, self._goals = executor, proposer, record, goals
        self._reporter = Reporter(on_status, goals)
        self._is_exhausted = False

    def run(self, rungs: Rungs) -> None:
        """Searches until the lower rungs are full, then gives members of the front the full fine-tune.

        Raises:
            SearchError: The first ten trials all failed.
        """
        for trial in self._record.trials:
            if trial.fidelity is not Fidelity.FULL:
                self._proposer.tell(trial)
        self._search(rungs)
        self._finish(rungs)

    def _search(self, rungs: Rungs) -> None:
        work: dict[int, _Work] = {}
        ticket = len(self._record.trials)
        while True:
            for item in self._next_work(rungs, work):
                work[ticket] = item
                self._submit(ticket, Stage.STRUCTURE if item.parent is None else _STAGES[item.fidelity], item)
                ticket += 1
            if not work:
                return
            started = time.perf_counter()
            job, outcome = self._executor.next_done()
            trial = self._advance(job, outcome, work)
            self._reporter.spend(SEARCH, time.perf_counter() - started)
            if trial is not None:
                del work[job.ticket]
                self._proposer.tell(trial)
                n_done = self._n_candidates(rungs) + self._n_promoted(Fidelity.SHORT)
                n_total = rungs.n_candidates + (rungs.n_short or 0)
                self._reporter.report(SEARCH, n_done, n_total, rungs.n_full, self._record.trials)
                self._stop_if_all_fail()

    def _next_work(self, rungs: Rungs, work: Mapping[int, _Work]) -> list[_Work]:
        """As much as there is room for: promotions that are due first, then new candidates."""
        room = self._executor.n_slots - len(work)
        items: list[_Work] = []
        while len(items) < room and (parent := self._due_for_short(rungs, [*work.values(), *items])) is not None:
            details = {name: parent.details[name] for name in ("sampler",) if name in parent.details}
            proposal = Proposal(parent.configuration, f"promoted #{parent.number}", details)
            structure = structure_of(parent, self._record.directory.artefacts)
            items.append(_Work(proposal, Fidelity.SHORT, parent, structure))
        n_under_way = sum(item.parent is None for item in work.values())
        n_missing = rungs.n_candidates - self._n_candidates(rungs) - n_under_way
        n_asked = min(room - len(items), n_missing)
        if n_asked > 0 and not self._is_exhausted:
            proposals = self._proposer.ask(n_asked)
            self._is_exhausted = not proposals
            items += [_Work(proposal, rungs.lowest) for proposal in proposals]
            if not items and not work:  # nothing new is left, but perhaps the last round of promotions
                return self._next_work(rungs, work)
        return items

    def _due_for_short(self, rungs: Rungs, under_way: list[_Work]) -> Trial | None:
        """The next calibrated trial to promote, None while no round is due."""
        has_ended = self._is_exhausted and all(item.parent is not None for item in under_way)
        n_before, n_due = rungs.round_at(rungs.n_candidates if has_ended else self._n_candidates(rungs))
        taken = promoted(self._record.trials, Fidelity.SHORT)
        taken += [item.parent for item in under_way if item.parent is not None]
        if len(taken) >= n_due:
            return None
        calibrated = complete(self._record.trials, Fidelity.CALIBRATED)
        return next_promotion(calibrated, taken, n_before, n_due - n_before, self._goals)

    def _advance(self, job: Job, outcome: Evaluation | Failure, work: Mapping[int, _Work]) -> Trial | None:
        """Takes a result; gives the trial it ended, or None where the next stage was submitted."""
        item = work[job.ticket]
        if isinstance(outcome, Failure):
            return self._add(item, State.FAILED, reason=outcome.reason)
        if job.stage is Stage.STRUCTURE:
            if outcome.reason:
                return self._add(item, State.FAILED, outcome, reason=outcome.reason)
            if missing := self._goals.missing_from(outcome.scores):
                return self._add(item, State.FAILED, outcome, reason=f"{', '.join(missing)} was not measured")
            if outcome.broken_limit:
                return self._add(item, State.DOMINATED, outcome, reason=outcome.broken_limit)
            lows = {name: score.value if score.low is None else score.low for name, score in outcome.scores.items()}
            if broken := self._goals.broken_by(lows):
                return self._add(item, State.DOMINATED, outcome, reason=broken)
            closed_by = self._dominating(lows)
            if closed_by is not None:
                reason = f"not faster, smaller or possibly more accurate than #{closed_by.number}"
                return self._add(item, State.DOMINATED, outcome, reason=reason)
            item.structure = outcome
            self._submit(job.ticket, _STAGES[item.fidelity], item)
            return None
        return self._add(item, State.COMPLETE, outcome)

    def _finish(self, rungs: Rungs) -> None:
        """Promotes members of the front one by one, each chosen in the light of the ones before."""
        while (n_done := self._n_promoted(Fidelity.FULL)) < rungs.n_full:
            parent = self._next_final(rungs)
            if parent is None:
                break
            started = time.perf_counter()
            self._executor.submit(Job(parent.number, Stage.FULL, parent.configuration, f"final-{parent.number}"))
            _, outcome = self._executor.next_done()
            item = _Work(Proposal(parent.configuration, f"promoted #{parent.number}"), Fidelity.FULL, parent)
            if isinstance(outcome, Failure):
                self._add(item, State.FAILED, reason=outcome.reason)
            elif missing := self._goals.missing_from(outcome.scores):
                self._add(item, State.FAILED, outcome, reason=f"{', '.join(missing)} was not measured")
            else:
                # A member that fails parity stays visible with its reason; fronts leave it out.
                self._add(item, State.COMPLETE, outcome, reason=outcome.reason)
            self._reporter.spend(FINAL_MEMBERS, time.perf_counter() - started)
            self._reporter.report(FINAL_MEMBERS, n_done + 1, rungs.n_full, rungs.n_full, self._record.trials)

    def _next_final(self, rungs: Rungs) -> Trial | None:
        if rungs.rule == AIMED:
            return next_aimed_promotion(self._record.trials, self._goals)
        taken = promoted(self._record.trials, Fidelity.FULL)
        return next_promotion(complete(self._record.trials, Fidelity.SHORT), taken, 0, rungs.n_full, self._goals)

    def _submit(self, ticket: int, stage: Stage, item: _Work) -> None:
        artefact = f"trial-{ticket}"
        self._executor.submit(Job(ticket, stage, item.proposal.configuration, artefact, item.structure))

    def _add(self, item: _Work, state: State, outcome: Evaluation | None = None, *, reason: str = "") -> Trial:
        number, parent = len(self._record.trials), item.parent.number if item.parent is not None else None
        trial = as_trial(number, item.proposal, state, item.fidelity, outcome, parent=parent, reason=reason)
        self._record.add(trial)
        return trial

    def _dominating(self, lows: Mapping[str, float]) -> Trial | None:
        """The front member that this candidate could not beat even with the best accuracy seen plus its interval.

        Args:
            lows: The candidate's structural scores at the lower ends of their intervals.
        """
        ended = complete(self._record.trials, Fidelity.SHORT)
        hoped = min((trial.scores["accuracy_drop"].low or 0.0 for trial in ended), default=0.0)
        names = [axis.score for axis in self._goals.objectives]
        candidate = tuple({**lows, "accuracy_drop": hoped}[name] for name in names)
        for member in front(self._record.trials, Fidelity.SHORT, self._goals):
            if dominates(tuple(member.value(name) for name in names), candidate):
                return member
        return None

    def _n_candidates(self, rungs: Rungs) -> int:
        return sum(t.fidelity is rungs.lowest and len(t.configuration) > 0 for t in self._record.trials)

    def _n_promoted(self, fidelity: Fidelity) -> int:
        return sum(t.fidelity is fidelity and t.parent is not None for t in self._record.trials)

    def _stop_if_all_fail(self) -> None:
        searched = [t for t in self._record.trials if len(t.configuration) > 0]
        if len(searched) >= MAX_FIRST_FAILURES and all(t.state is State.FAILED for t in searched):
            raise SearchError(f"the first {len(searched)} trials all failed; the last one: {searched[-1].reason}")
