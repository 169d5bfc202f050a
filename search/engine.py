"""The search: proposes, evaluates structure first, trains what is promising, and finishes the front's members."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..evaluators import Evaluation
from ..hardware_profiles.errors import SearchError
from .adoption import adopt
from .budget import Budget
from .clock import Clock
from .course import Course
from .ended import ARTEFACT, as_repeated, as_trial, first_ticket, structure_of
from .executor import Executor, Failure, Job, Stage
from .finals import finish
from .front import complete
from .gain_cut import PROMISED, Forecaster
from .goals import DEFAULT_GOALS, Goals
from .logged_executor import log_promotion
from .promotion import next_promotion, promoted
from .proposal import Proposal, Proposer
from .record import Record
from .repeats import next_repeat_of
from .reuse import NOTHING, Reuse
from .rungs import Rungs
from .running_front import RunningFront
from .status import SEARCH, OnStatus, Reporter
from .stopping import NO_LIMITS, Limits
from .structure_judge import StructureJudge
from .trial import Fidelity, State, Trial

SLOTS_PER_PROPOSAL = 16
"""With more slots than that, proposals are made ahead, one for so many: together they take little longer than one."""
MAX_BATCH = 64
"""Proposals at a time: those who wait for the first ones do not wait for hundreds more."""
MAX_FIRST_FAILURES = 10
"""When all of so many first trials fail, the fault is not in the candidates."""
_STAGES = {Fidelity.CALIBRATED: Stage.CALIBRATED, Fidelity.SHORT: Stage.SHORT, Fidelity.FULL: Stage.FULL}


@dataclass(slots=True)
class _Work:
    """What is under way: a proposal for the lowest rung, the promotion of `parent`, or `repeated` measured again.

    It has been since the run had spent `began_s` of wall time.
    """

    proposal: Proposal
    fidelity: Fidelity
    parent: Trial | None = None
    structure: Evaluation | None = None
    repeated: Trial | None = None
    began_s: float = 0.0

    @property
    def is_candidate(self) -> bool:
        return self.parent is None and self.repeated is None

    @property
    def first_stage(self) -> Stage:
        if self.repeated is not None:
            return Stage.REPEAT
        return Stage.STRUCTURE if self.parent is None else _STAGES[self.fidelity]


class Engine:
    """Runs one search to its end, or as far as it is let; every ended trial is in the record before the next starts.

    Attributes:
        ended_by: Why no further candidate was begun, in words; empty before that.
        cut: What there was no time for after that, in words; empty where there was nothing.
    """

    def __init__(
        self,
        executor: Executor,
        proposer: Proposer,
        record: Record,
        on_status: OnStatus,
        goals: Goals = DEFAULT_GOALS,
        *,
        limits: Limits = NO_LIMITS,
        clock: Clock | None = None,
        reuse: Reuse = NOTHING,
        suffix: str = ".onnx",
        has_cut: bool = True,
        forecaster: Forecaster | None = None,
    ) -> None:
        self._executor, self._proposer, self._record, self._goals = executor, proposer, record, goals
        self._reporter, self._limits, self._clock = Reporter(on_status, goals), limits, clock or Clock()
        self._reuse, self._suffix = reuse, suffix
        self._is_exhausted = False
        self._ahead: deque[Proposal] = deque()
        self._front = RunningFront(record.trials, Fidelity.SHORT, goals)
        self._judge = StructureJudge(record.trials, self._front, goals, has_cut=has_cut, forecaster=forecaster)
        self.ended_by = self.cut = ""
        self._cuts: dict[str, str] = {}

    def run(self, rungs: Rungs) -> None:
        """Searches until the lower rungs are full or a limit ends it, then finishes members of the front.

        Raises:
            SearchError: The first ten trials all failed.
        """
        n_slots = self._executor.n_slots
        self._budget = Budget(rungs, self._limits, self._clock, self._goals, self._record.trials, n_slots)
        self._course = Course(self._record, self._goals, rungs, self._budget, self._reporter)
        left_over = adopt(self._reuse, self._course, self._executor, self._suffix)
        for trial in self._record.trials:
            if trial.fidelity is not Fidelity.FULL:
                self._proposer.tell(trial)
        self._search(rungs)
        cuts = (f"{what} by {limit}" for what, limit in self._cuts.items())
        cut = [left_over, *cuts, finish(self._course, self._executor)]
        self.cut = "; ".join(filter(None, cut))

    def _search(self, rungs: Rungs) -> None:
        work: dict[int, _Work] = {}
        ticket = first_ticket(self._record.trials)
        self._budget.note_begin()
        while True:
            while items := self._next_work(rungs, work):
                for item in items:
                    work[ticket], item.began_s = item, self._budget.wall_s()
                    self._submit(ticket, item.first_stage, item)
                    ticket += 1
            if not work:
                return
            job, outcome = self._executor.next_done()
            trial = self._advance(job, outcome, work)
            if trial is not None:
                del work[job.ticket]
                self._proposer.tell(trial)
                done = self._budget.tally
                n_total = rungs.n_candidates + (rungs.n_short or 0)
                self._course.report(SEARCH, done.n_candidates + done.n_short, n_total, is_searching=True)
                self._stop_if_all_fail()

    def _next_work(self, rungs: Rungs, work: Mapping[int, _Work]) -> list[_Work]:
        """As much as there is room for: promotions and repeated measurements that are due, then new candidates.

        When there are no new candidates any more, the last round of either may be due.
        """
        items: list[_Work] = []
        for find in (self._promotions, self._repeats, self._candidates, self._promotions, self._repeats):
            room = self._executor.n_slots - len(work) - len(items)
            if room <= 0:
                break
            items += find(rungs, room, [*work.values(), *items])
        return items

    def _candidates(self, rungs: Rungs, room: int, under_way: Sequence[_Work]) -> list[_Work]:
        n_under_way = sum(item.is_candidate for item in under_way)
        if self._is_exhausted:
            return []
        self.ended_by = self.ended_by or self._budget.end_of_search(n_under_way)
        n_missing = rungs.n_candidates - self._budget.tally.n_candidates - n_under_way
        if self.ended_by or n_missing <= 0:
            return []
        if not self._ahead:
            n_ahead = max(room, self._executor.n_slots // SLOTS_PER_PROPOSAL)
            self._ahead += self._proposer.ask(min(n_ahead, MAX_BATCH, n_missing))
        if not self._ahead:
            self._is_exhausted, self.ended_by = True, "nothing new was left to propose"
        proposals = [self._ahead.popleft() for _ in range(min(room, len(self._ahead)))]
        return [_Work(proposal, rungs.lowest) for proposal in proposals]

    def _promotions(self, rungs: Rungs, room: int, under_way: Sequence[_Work]) -> list[_Work]:
        items: list[_Work] = []
        while len(items) < room and (parent := self._due_for_short(rungs, [*under_way, *items])) is not None:
            if exceeded := self._budget.end_of_promotions():
                self._cuts["promotions to the short fine-tune"] = exceeded
                break
            details = {name: parent.details[name] for name in ("sampler",) if name in parent.details}
            proposal = Proposal(parent.configuration, f"promoted #{parent.number}", details)
            structure = structure_of(parent, self._record.directory.artefacts)
            log_promotion(parent, Fidelity.SHORT)
            items.append(_Work(proposal, Fidelity.SHORT, parent, structure))
        return items

    def _due_for_short(self, rungs: Rungs, under_way: Sequence[_Work]) -> Trial | None:
        """The next calibrated trial to promote, None while no round is due."""
        if rungs.n_short is None:
            return None
        has_ended = self._has_ended(under_way)
        n_ended = rungs.n_candidates if has_ended and self._is_exhausted else self._budget.tally.n_candidates
        n_before, n_due = rungs.round_at(n_ended, is_last=has_ended)
        taken = promoted(self._record.trials, Fidelity.SHORT)
        taken += [item.parent for item in under_way if item.parent is not None]
        if len(taken) >= n_due:
            return None
        calibrated = complete(self._record.trials, Fidelity.CALIBRATED)
        return next_promotion(calibrated, taken, n_before, n_due - n_before, self._goals)

    def _repeats(self, rungs: Rungs, room: int, under_way: Sequence[_Work]) -> list[_Work]:
        """What to measure again: up to half of all as the search goes on, the rest when its front stands."""
        tally, items = self._budget.tally, list[_Work]()
        n_due = (
            rungs.n_repeats if not under_way and self._has_ended(under_way) else rungs.n_repeats_at(tally.n_candidates)
        )
        pending = {item.repeated.number for item in under_way if item.repeated is not None}
        while len(items) < room and tally.n_repeats + len(pending) < n_due:
            trial = next_repeat_of(self._front, self._record.trials, self._goals, pending)
            if trial is None:
                break
            if exceeded := self._budget.end_of_repeats():
                self._cuts["measuring again what is not sure"] = exceeded
                break
            pending.add(trial.number)
            items.append(_Work(Proposal(trial.configuration, ""), trial.fidelity, repeated=trial))
        return items

    def _has_ended(self, under_way: Sequence[_Work]) -> bool:
        """Whether there will be no candidate any more."""
        return bool(self.ended_by) and not any(item.is_candidate for item in under_way)

    def _advance(self, job: Job, outcome: Evaluation | Failure, work: Mapping[int, _Work]) -> Trial | None:
        """Takes a result; gives the trial it ended, or None where the next stage was submitted."""
        item = work[job.ticket]
        if item.repeated is not None:
            found, reason = (None, outcome.reason) if isinstance(outcome, Failure) else (outcome, "")
            repeated = as_repeated(len(self._record.trials), item.repeated, found, reason)
            return self._course.add(repeated, item.began_s)
        if isinstance(outcome, Failure):
            return self._add(item, State.FAILED, reason=outcome.reason)
        if job.stage is Stage.STRUCTURE:
            verdict = self._judge.verdict(item.proposal.configuration, outcome)
            if verdict.promised is not None:
                details = {**item.proposal.details, PROMISED: verdict.promised}
                item.proposal = replace(item.proposal, details=details)
            if verdict.state is not None:
                return self._add(item, verdict.state, outcome, reason=verdict.reason)
            item.structure = outcome
            self._submit(job.ticket, _STAGES[item.fidelity], item)
            return None
        return self._add(item, State.COMPLETE, outcome)

    def _submit(self, ticket: int, stage: Stage, item: _Work) -> None:
        artefact = f"{ARTEFACT}{ticket}" if item.repeated is None else f"repeat-{ticket}"
        self._executor.submit(Job(ticket, stage, item.proposal.configuration, artefact, item.structure))

    def _add(self, item: _Work, state: State, outcome: Evaluation | None = None, *, reason: str = "") -> Trial:
        number, parent = len(self._record.trials), item.parent.number if item.parent is not None else None
        trial = as_trial(number, item.proposal, state, item.fidelity, outcome, parent=parent, reason=reason)
        return self._course.add(trial, item.began_s)

    def _stop_if_all_fail(self) -> None:
        if any(t.state is not State.FAILED for t in self._record.trials if t.configuration):
            return
        searched = [t for t in self._record.trials if t.configuration]
        if len(searched) >= MAX_FIRST_FAILURES:
            raise SearchError(f"the first {len(searched)} trials all failed; the last one: {searched[-1].reason}")
