"""What ends a search before its candidates do, and what is measured again: `engine.py` and `finals.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.search.clock import Clock, spent_before
from parefront.search.engine import Engine
from parefront.search.executor import Failure, Job, Stage
from parefront.search.front import complete, front
from parefront.search.record import Record
from parefront.search.run_directory import RunDirectory
from parefront.search.rungs import Rungs
from parefront.search.status import Status
from parefront.search.stopping import NO_LIMITS, Limits
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration, SearchSpace

from .conftest import ListProposer

MakeTrial = Callable[..., Trial]
EVERY = [
    Configuration.of({name: choice for name, choice in chosen.items() if choice != 32})
    for chosen in ({"prune/a": width, "bits/a": a} for width in (24, 16, 8) for a in (32, 8))
]
SECONDS = {Stage.STRUCTURE: 2.0, Stage.CALIBRATED: 1.0, Stage.SHORT: 8.0, Stage.REPEAT: 4.0, Stage.FULL: 30.0}


@dataclass
class Watch:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TimedExecutor:
    """Every stage takes its seconds; a structure has the interval that is asked for, a repeated one hardly any."""

    watch: Watch
    answers: Mapping[Configuration, tuple[float, float]]
    percent: float = 0.0
    again_ms: Mapping[Configuration, float] = field(default_factory=dict)
    failing: tuple[Stage, ...] = ()
    n_slots: int = 1
    jobs: list[Job] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        job = self.jobs[-1]
        self.watch.now += SECONDS[job.stage]
        if job.stage in self.failing:
            return job, Failure("MeasurementError: no core is free", "trace")
        drop, latency_ms = self.answers[job.configuration]
        factor = 1 + self.percent / 100
        if job.stage is Stage.REPEAT:
            latency_ms, factor = self.again_ms.get(job.configuration, latency_ms), 1.0001
        scores = {
            "latency_ms": Score("latency_ms", latency_ms, "ms", False, latency_ms / factor, latency_ms * factor),
            "size_bytes": Score("size_bytes", 500.0, "bytes", False),
        }
        if job.stage not in (Stage.STRUCTURE, Stage.REPEAT):
            scores["accuracy"] = Score("accuracy", 90 - drop, "%", True)
            scores["accuracy_drop"] = Score("accuracy_drop", drop, "pt", False, drop, drop)
        is_verified = True if job.stage is Stage.FULL else None
        seconds = {"measure": SECONDS[job.stage]}
        return job, Evaluation(scores, seconds, Path(f"{job.artefact}.onnx"), is_verified=is_verified)

    def close(self) -> None:
        pass


@dataclass
class Bench:
    directory: RunDirectory
    space: SearchSpace
    watch: Watch = field(default_factory=Watch)
    statuses: list[Status] = field(default_factory=list)

    def search(
        self, rungs: Rungs, limits: Limits = NO_LIMITS, **options: object
    ) -> tuple[list[Trial], Engine, TimedExecutor]:
        # The later the faster, and the more it loses: every candidate is a member of the front.
        answers = options.pop("answers", {each: (1.0 + 0.1 * i, 0.9 - 0.1 * i) for i, each in enumerate(EVERY)})
        executor = TimedExecutor(self.watch, answers, **options)  # type: ignore[arg-type]
        record = Record(self.directory, self.space)
        clock = Clock(self.watch, self.watch, spent_before({}, record.trials))
        engine = Engine(executor, ListProposer(EVERY), record, self.statuses.append, limits=limits, clock=clock)
        engine.run(rungs)
        return record.trials, engine, executor


@pytest.fixture
def bench(tmp_path: Path, small_space: SearchSpace, make_trial: MakeTrial) -> Bench:
    directory = RunDirectory(tmp_path)
    record = Record(directory, small_space)
    record.add(replace(make_trial(0, {}, 0.0, 1.0, 1000), seconds={"measure": 4.0}))
    record.add(replace(make_trial(1, {}, 0.1, 1.0, 1000, Fidelity.FULL), seconds={"train": 30.0}))
    return Bench(directory, small_space)


def count(trials: list[Trial], fidelity: Fidelity) -> int:
    return sum(trial.fidelity is fidelity and bool(trial.configuration) for trial in trials)


def test_a_search_says_what_ended_it(bench: Bench) -> None:
    _, engine, _ = bench.search(Rungs(2))
    assert (engine.ended_by, engine.cut) == ("all 2 candidates", "")
    _, engine, _ = bench.search(Rungs(100))
    assert engine.ended_by == "nothing new was left to propose"


def test_final_members_have_their_turn_within_the_time(bench: Bench) -> None:
    """A candidate takes 10 s, a final member 30: in 65 s there is room for 3 candidates and a final member."""
    trials, engine, _ = bench.search(Rungs(6, None, 1), Limits(max_wall_s=65))
    assert (count(trials, Fidelity.SHORT), count(trials, Fidelity.FULL)) == (3, 1)
    assert bench.watch.now == 60
    assert engine.ended_by == "the time limit of 65 s (spent 30 s, with 40 s wanted for what follows)"
    assert engine.cut == ""


def test_what_there_is_no_time_for_is_cut_and_said(bench: Bench) -> None:
    """At most half of the 85 s is kept for the final members, so that one of them must go."""
    trials, engine, _ = bench.search(Rungs(6, None, 2), Limits(max_wall_s=85))
    assert (count(trials, Fidelity.SHORT), count(trials, Fidelity.FULL)) == (4, 1)
    assert (
        engine.cut == "1 of 2 final members by the time limit of 85 s (spent 70 s, with 30 s wanted for what follows)"
    )


def test_time_spent_before_a_kill_counts(bench: Bench) -> None:
    trials, _, _ = bench.search(Rungs(2))
    bench.watch.now = 0.0  # another session, whose clock began anew
    more, _, _ = bench.search(Rungs(6), Limits(max_wall_s=45))
    assert [t.configuration for t in more[2:]] == EVERY[:4]  # 20 s before and 20 s now; a fifth would end at 50
    assert more[: len(trials)] == trials
    assert [t.details["ended"]["wall_s"] for t in more[2:]] == [10, 20, 30, 40]


def test_processor_time_ends_it_too(bench: Bench) -> None:
    _, engine, _ = bench.search(Rungs(6), Limits(max_cpu_s=25))
    assert engine.ended_by.startswith("the limit of 25 s of processor time (spent 20 s")


def test_patience_ends_a_search_that_stands_still(bench: Bench) -> None:
    """From the second on all are faster by far too little, and lose as much."""
    answers = {each: (1.0, 0.5 - 1e-5 * i) for i, each in enumerate(EVERY)}
    trials, engine, _ = bench.search(Rungs(6, None, 1), Limits(patience=3), answers=answers)
    assert count(trials, Fidelity.SHORT) == 4
    assert engine.ended_by == "no gain in hypervolume above 0.1% over the last 3 candidates"
    assert count(trials, Fidelity.FULL) == 1  # the final members have their turn


def test_patience_with_a_rung_below_has_its_last_round(bench: Bench) -> None:
    """After 4 of 6 candidates 3 * 4 / 6 = 2 promotions are due, though the round of 8 is not full."""
    trials, _, _ = bench.search(Rungs(6, 3), Limits(patience=4))
    assert [t.fidelity for t in trials[2:]] == [Fidelity.CALIBRATED] * 4 + [Fidelity.SHORT] * 2


# --- what is measured again

FIRST, SECOND = EVERY[:2]
CLOSE = {FIRST: (1.0, 0.5), SECOND: (2.0, 0.495)}


def test_a_close_pair_is_measured_again_before_one_is_dropped(bench: Bench) -> None:
    """1 % apart, a tie; measured again the second is 4 % faster, and both are members."""
    again_ms = {SECOND: 0.48}
    trials, engine, executor = bench.search(Rungs(2, None, 0, n_repeats=4), answers=CLOSE, percent=1, again_ms=again_ms)
    repeats = [t for t in trials if t.supersedes is not None]
    assert [job.stage for job in executor.jobs[4:]] == [Stage.REPEAT] * len(repeats)
    again = next(t for t in repeats if t.configuration == SECOND)
    assert (again.origin, again.supersedes, again.parent) == ("measured again #3", 3, None)
    assert again.value("latency_ms") == 0.48
    assert again.value("accuracy_drop") == 2.0  # it was not trained again
    assert again.artefact == trials[3].artefact
    assert again.fidelity is Fidelity.SHORT
    assert {t.configuration for t in front(trials, Fidelity.SHORT)} == {Configuration(), FIRST, SECOND}
    assert len(complete(trials, Fidelity.SHORT)) == 3
    assert engine.ended_by == "all 2 candidates"  # it counts as none
    assert bench.statuses[-1].n_done == 2


def test_a_tie_that_stays_is_one(bench: Bench) -> None:
    trials, _, executor = bench.search(Rungs(2, None, 0, n_repeats=4), answers=CLOSE, percent=1)
    assert sum(job.stage is Stage.REPEAT for job in executor.jobs) == sum(t.supersedes is not None for t in trials)
    assert SECOND not in {t.configuration for t in front(trials, Fidelity.SHORT)}
    again, _, executor = bench.search(Rungs(2, None, 0, n_repeats=4), answers=CLOSE, percent=1)
    assert again == trials  # nor is it tried again when the run goes on
    assert executor.jobs == []


def test_no_more_is_measured_again_than_was_asked_for(bench: Bench) -> None:
    answers = {each: (1.0 + i, 0.5 - 0.005 * i) for i, each in enumerate(EVERY)}
    _, _, executor = bench.search(Rungs(6, None, 0, n_repeats=1), answers=answers, percent=1)
    assert sum(job.stage is Stage.REPEAT for job in executor.jobs) == 1
    _, _, executor = bench.search(Rungs(6), answers=answers, percent=1)
    assert executor.jobs == []


def test_what_cannot_be_measured_again_stays_as_it_was(bench: Bench) -> None:
    trials, _, _ = bench.search(Rungs(2, None, 1, n_repeats=4), answers=CLOSE, percent=1, failing=(Stage.REPEAT,))
    failed = [t for t in trials if t.supersedes is not None]
    assert failed
    assert {(t.state, t.reason) for t in failed} == {(State.FAILED, "MeasurementError: no core is free")}
    assert FIRST in {t.configuration for t in front(trials, Fidelity.SHORT)}
    assert trials[-1].fidelity is Fidelity.FULL


def test_the_later_measurement_is_what_is_promoted(bench: Bench) -> None:
    trials, _, _ = bench.search(
        Rungs(2, None, 2, n_repeats=4), answers=CLOSE, percent=1, again_ms={FIRST: 0.5, SECOND: 0.48}
    )
    finals = [t for t in trials if t.fidelity is Fidelity.FULL and t.parent is not None]
    assert {t.configuration for t in finals} == {FIRST, SECOND}
    for final in finals:
        assert trials[final.parent or 0] in complete(trials, Fidelity.SHORT)


def test_what_there_is_no_time_to_measure_again_is_said(bench: Bench) -> None:
    _, engine, executor = bench.search(Rungs(2, None, 0, n_repeats=4), Limits(max_wall_s=29), answers=CLOSE, percent=1)
    # 20 s for two candidates; of the last 9 s two measurements of 4 s each, if there are two to make.
    assert sum(job.stage is Stage.REPEAT for job in executor.jobs) == 2
    assert engine.cut == ""
    other = Bench(RunDirectory(bench.directory.root / "other"), bench.space)
    other.directory.root.mkdir()
    record = Record(other.directory, other.space)
    for trial in Record(bench.directory, bench.space).trials[:4]:
        record.add(trial)
    _, engine, executor = other.search(Rungs(2, None, 0, n_repeats=4), Limits(max_wall_s=23), answers=CLOSE, percent=1)
    assert executor.jobs == []
    assert engine.cut == (
        "measuring again what is not sure by the time limit of 23 s (spent 20 s, with 4 s wanted for what follows)"
    )
