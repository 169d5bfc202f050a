import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import SearchError
from parefront.search import Fidelity, RunDirectory, State, Trial, front, read_trials
from parefront.search.engine import Engine
from parefront.search.executor import Failure, Job, Stage, run_job
from parefront.search.goals import DEFAULT_GOALS, parse_goals
from parefront.search.record import Record
from parefront.search.rungs import Rungs
from parefront.search.status import Status
from parefront.spaces import Choice, Configuration, SearchSpace

from .conftest import ListProposer

MakeTrial = Callable[..., Trial]
Choices = Mapping[str, Choice]


def evaluation(drop: float | None, latency_ms: float, size_bytes: float, half_width: float = 0.0) -> Evaluation:
    """With exact latency and size; accuracy where a drop is given."""
    scores = {
        "latency_ms": Score("latency_ms", latency_ms, "ms", False, latency_ms, latency_ms),
        "size_bytes": Score("size_bytes", size_bytes, "bytes", False),
    }
    if drop is not None:
        scores["accuracy"] = Score("accuracy", 90 - drop, "%", True)
        scores["accuracy_drop"] = Score("accuracy_drop", drop, "pt", False, drop - half_width, drop + half_width)
    return Evaluation(scores, {"train": 1.0}, Path("x.onnx"))


@dataclass
class FakeExecutor:
    """Answers from a table: configuration → (drop, ms, bytes), or an exception to fail with at a stage."""

    answers: Mapping[Configuration, tuple[float, float, float]]
    journal: Path
    failures: Mapping[tuple[Configuration, Stage], str] = field(default_factory=dict)
    unverified: Mapping[Configuration, str] = field(default_factory=dict)
    n_slots: int = 1
    is_last_first: bool = False
    half_width: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    queue: list[Job] = field(default_factory=list)
    n_recorded_at_structure: list[int] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.queue.append(job)
        assert len(self.queue) <= self.n_slots
        if job.stage is Stage.STRUCTURE:
            self.n_recorded_at_structure.append(len(read_trials(self.journal)))

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        job = self.queue.pop(-1 if self.is_last_first else 0)
        if (job.configuration, job.stage) in self.failures:
            return job, Failure(self.failures[job.configuration, job.stage], "trace")
        drop, latency_ms, size_bytes = self.answers[job.configuration]
        if job.stage is Stage.STRUCTURE:
            return job, evaluation(None, latency_ms, size_bytes)
        if job.stage is Stage.CALIBRATED:
            assert job.structure is not None
            return job, evaluation(10 * drop, latency_ms, size_bytes)
        if job.stage is Stage.SHORT:
            assert job.structure is not None
            assert set(job.structure.scores) == {"latency_ms", "size_bytes"}
            return job, evaluation(drop, latency_ms, size_bytes, self.half_width)
        reason = self.unverified.get(job.configuration, "")
        done = evaluation(drop - 0.1, latency_ms, size_bytes)
        return job, replace(done, is_verified=not reason, reason=reason, artefact=Path(job.artefact))

    def close(self) -> None:
        pass


FAST = Configuration.of({"prune/a": 8})
GOOD = Configuration.of({"bits/a": 8})
SLOW = Configuration.of({"prune/a": 24})
FOLD = Configuration.of({"fold/a": "on"})
ANSWERS = {FAST: (3.0, 0.2, 200.0), GOOD: (0.0, 0.5, 500.0), SLOW: (0.5, 0.9, 900.0), FOLD: (2.0, 0.4, 400.0)}


@dataclass
class Bench:
    """One search with a record on disk that begins with the two baseline trials."""

    directory: RunDirectory
    space: SearchSpace
    statuses: list[Status] = field(default_factory=list)

    def search(
        self, configurations: list[Configuration], n_trials: int, n_final: int = 0, **options: object
    ) -> tuple[list[Trial], FakeExecutor, ListProposer]:
        answers = options.pop("answers", ANSWERS)
        rungs = Rungs(n_trials, options.pop("n_short", None), n_final, options.pop("rule", "aimed"))  # type: ignore[arg-type]
        goals = options.pop("goals", DEFAULT_GOALS)
        has_cut = bool(options.pop("has_cut", True))
        executor = FakeExecutor(answers, self.directory.journal, **options)  # type: ignore[arg-type]
        proposer = ListProposer(configurations)
        record = Record(self.directory, self.space, goals)  # type: ignore[arg-type]
        Engine(executor, proposer, record, self.statuses.append, goals, has_cut=has_cut).run(rungs)
        return record.trials, executor, proposer


@pytest.fixture
def bench(tmp_path: Path, small_space: SearchSpace, make_trial: MakeTrial) -> Iterator[Bench]:
    directory = RunDirectory(tmp_path)
    record = Record(directory, small_space)
    record.add(make_trial(0, {}, 0.0, 1.0, 1000))
    record.add(make_trial(1, {}, 0.1, 1.0, 1000, Fidelity.FULL, is_verified=True))
    yield Bench(directory, small_space)
    assert [t.number for t in read_trials(directory.journal)] == list(range(len(read_trials(directory.journal))))


def test_candidates_are_measured_then_trained_then_recorded(bench: Bench) -> None:
    trials, executor, proposer = bench.search([GOOD, FAST], 2)
    assert [(job.configuration, job.stage) for job in executor.jobs] == [
        (GOOD, Stage.STRUCTURE),
        (GOOD, Stage.SHORT),
        (FAST, Stage.STRUCTURE),
        (FAST, Stage.SHORT),
    ]
    assert [(t.number, t.configuration, t.state) for t in trials[2:]] == [
        (2, GOOD, State.COMPLETE),
        (3, FAST, State.COMPLETE),
    ]
    assert trials[3].value("accuracy_drop") == 3.0
    assert trials == read_trials(bench.directory.journal)
    # The baseline was told too, as far as it is of the search's fidelity.
    assert [trial.number for trial in proposer.told] == [0, 2, 3]


def test_every_trial_is_on_disk_before_the_next_starts(bench: Bench) -> None:
    _, executor, _ = bench.search([GOOD, FAST, SLOW, FOLD], 4)
    assert executor.n_recorded_at_structure == [2, 3, 4, 5]


def test_a_dominated_candidate_is_closed_without_training(bench: Bench) -> None:
    """No drop below 0 was seen, GOOD has 0 with certainty and is faster and smaller than SLOW."""
    trials, executor, _ = bench.search([GOOD, SLOW, FAST], 3)
    closed = trials[3]
    assert (closed.configuration, closed.state) == (SLOW, State.DOMINATED)
    assert "accuracy" not in closed.scores
    assert closed.value("latency_ms") == 0.9
    assert closed.reason == "not faster, smaller or possibly more accurate than #2"
    assert closed.artefact is None
    assert (SLOW, Stage.SHORT) not in [(job.configuration, job.stage) for job in executor.jobs]
    assert trials[4].state is State.COMPLETE  # FAST is faster than anything before


def test_no_more_accuracy_is_hoped_for_than_was_seen_whatever_the_intervals(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, SLOW], 2, half_width=0.8)
    assert trials[3].state is State.DOMINATED


def test_more_accuracy_than_the_baseline_has_is_not_hoped_for(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, SLOW], 2, answers={**ANSWERS, GOOD: (-0.5, 0.5, 500.0)})
    assert trials[3].state is State.DOMINATED


def test_without_the_cut_a_dominated_candidate_is_trained_too(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, SLOW], 2, has_cut=False)
    assert (trials[3].configuration, trials[3].state) == (SLOW, State.COMPLETE)
    assert trials[3].value("accuracy_drop") == 0.5


def test_a_candidate_that_could_still_enter_is_trained(bench: Bench) -> None:
    smaller = Configuration.of({"bits/b": 8})
    trials, _, _ = bench.search([GOOD, smaller], 2, answers={**ANSWERS, smaller: (5.0, 0.9, 499.0)})
    assert trials[3].state is State.COMPLETE


@pytest.mark.parametrize("stage", [Stage.STRUCTURE, Stage.SHORT])
def test_a_failed_candidate_is_a_trial_with_its_reason(bench: Bench, stage: Stage) -> None:
    trials, _, proposer = bench.search([FAST, GOOD], 2, failures={(FAST, stage): "ExportError: no such operator"})
    assert trials[2].state is State.FAILED
    assert trials[2].reason == "ExportError: no such operator"
    assert not trials[2].scores
    assert trials[3].state is State.COMPLETE  # the search went on
    assert proposer.told[1] == trials[2]
    assert "failed: ExportError: no such operator" in bench.statuses[0].last


def configurations(n: int) -> list[Configuration]:
    every = [
        Configuration.of({name: choice for name, choice in chosen.items() if choice != 32})
        for chosen in (
            {"prune/a": width, "bits/a": a, "bits/b": b} for width in (32, 24, 16, 8) for a in (32, 8) for b in (32, 8)
        )
    ]
    return [configuration for configuration in every if configuration][:n]


def test_when_all_first_ten_fail_the_search_stops_and_says_why(bench: Bench) -> None:
    candidates = configurations(15)
    failures = {(configuration, Stage.STRUCTURE): "MeasurementError: no core is free" for configuration in candidates}
    with pytest.raises(SearchError, match=r"the first 10 trials all failed; the last one: .*no core is free"):
        bench.search(candidates, 15, failures=failures)
    assert sum(t.state is State.FAILED for t in read_trials(bench.directory.journal)) == 10
    # Started again it does not go on failing to the end.
    with pytest.raises(SearchError, match="the first 11 trials all failed"):
        bench.search(candidates, 15, failures=failures)


def test_nine_failures_do_not_stop_it(bench: Bench) -> None:
    candidates = configurations(12)
    failures = {(configuration, Stage.SHORT): "TrainingError: nan" for configuration in candidates[:9]}
    answers = {configuration: (1.0, 0.5, 500.0 - i) for i, configuration in enumerate(candidates)}
    trials, _, _ = bench.search(candidates, 12, failures=failures, answers=answers)
    assert [t.state for t in trials[2:]] == [State.FAILED] * 9 + [State.COMPLETE] * 3


def test_finals_are_recorded_with_their_parent(bench: Bench) -> None:
    trials, executor, _ = bench.search([GOOD, FAST], 2, n_final=2)
    finals = trials[4:]
    assert [(t.parent, t.configuration, t.fidelity) for t in finals] == [
        (2, GOOD, Fidelity.FULL),
        (3, FAST, Fidelity.FULL),
    ]
    assert all(t.is_verified for t in finals)
    assert [t.artefact for t in finals] == ["final-2", "final-3"]
    assert finals[0].origin == "promoted #2"
    assert [job.stage for job in executor.jobs[-2:]] == [Stage.FULL, Stage.FULL]
    assert [status.phase for status in bench.statuses] == ["search"] * 2 + ["final members"] * 2


def test_a_final_that_fails_parity_is_marked_and_not_in_the_front(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, FAST], 2, n_final=2, unverified={GOOD: "2 layers did not execute in int8"})
    marked = trials[4]
    assert marked.is_verified is False
    assert marked.reason == "2 layers did not execute in int8"
    assert [t.number for t in front(trials, Fidelity.FULL)] == [1, 5]


def test_a_final_that_cannot_be_made_is_a_failed_trial(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, FAST], 2, n_final=2, failures={(GOOD, Stage.FULL): "TrainingError: nan"})
    assert [(t.state, t.parent) for t in trials[4:]] == [(State.FAILED, 2), (State.COMPLETE, 3)]
    assert trials[4].reason == "TrainingError: nan"


def test_an_ended_search_goes_on_where_it_was(bench: Bench) -> None:
    first, _, _ = bench.search([GOOD, FAST, FOLD], 1, n_final=1)
    again, executor, _ = bench.search([GOOD, FAST, FOLD], 1, n_final=1)
    assert again == first
    assert executor.jobs == []
    more, _, proposer = bench.search([GOOD, FAST, FOLD], 3, n_final=1)
    assert more[: len(first)] == first
    assert [t.configuration for t in more[len(first) :]] == [FAST, FOLD]
    assert [t.number for t in proposer.told] == [0, 2, 4, 5]  # finals are not told


def test_an_exhausted_space_ends_the_search(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD], 100, n_final=1)
    assert len(trials) == 4


def test_several_slots_give_the_same_trials(bench: Bench) -> None:
    trials, executor, _ = bench.search([FOLD, GOOD, FAST], 3, n_slots=3, is_last_first=True)
    assert {t.configuration for t in trials[2:]} == {FOLD, GOOD, FAST}
    assert len({job.artefact for job in executor.jobs if job.stage is Stage.STRUCTURE}) == 3


def test_a_stopped_search_with_several_slots_overwrites_no_file(bench: Bench) -> None:
    """The trial that began last ends first, and is the only one in the record when the search stops."""
    record = Record(bench.directory, bench.space)
    record.add(replace(record.trials[0], number=2, configuration=GOOD, artefact="trial-4.onnx"))
    _, executor, _ = bench.search([FAST, FOLD], 3)
    assert {job.artefact for job in executor.jobs} == {"trial-5", "trial-6"}


def test_the_status_is_what_the_record_says(bench: Bench) -> None:
    bench.search([GOOD, FAST], 2)
    last = bench.statuses[-1]
    assert (last.phase, last.n_done, last.n_total) == ("search", 2, 2)
    assert last.n_front == 2  # GOOD, as accurate as the baseline, and FAST
    assert last.best_speedup == pytest.approx(1.0 / 0.5)  # GOOD; FAST loses more than a point
    # In units of (5 points, log 64 of latency, log 64 of size): GOOD holds 1 x (1/6)², FAST .4 x (log 5 / log 64)².
    good, fast = math.log(2) / math.log(64), math.log(5) / math.log(64)
    assert last.hypervolume == pytest.approx(good**2 + 0.4 * (fast**2 - good**2))
    assert last.eta_s == 0


def test_whatever_goes_wrong_in_a_job_is_one_line() -> None:
    class Broken:
        def structure(self, configuration: Configuration, name: str) -> Evaluation:
            raise MemoryError("cannot allocate\n  2 GB")

    outcome = run_job(Broken(), Job(0, Stage.STRUCTURE, GOOD, "x"))  # type: ignore[arg-type]
    assert isinstance(outcome, Failure)
    assert outcome.reason == "MemoryError: cannot allocate 2 GB"
    assert "in structure" in outcome.trace


def test_an_interrupt_is_no_failure() -> None:
    class Interrupted:
        def structure(self, configuration: Configuration, name: str) -> Evaluation:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(Interrupted(), Job(0, Stage.STRUCTURE, GOOD, "x"))  # type: ignore[arg-type]


# --- a rung without training below the short one

MANY = {
    configuration: (0.1 * i, 0.9 - 0.04 * i, 900.0 - 40 * i)
    for i, configuration in enumerate([FOLD, *configurations(12)])
}


def test_with_a_rung_below_only_some_are_trained(bench: Bench) -> None:
    trials, executor, proposer = bench.search(list(MANY), 12, n_final=1, n_short=4, answers=MANY)
    untrained = [t for t in trials if t.fidelity is Fidelity.CALIBRATED]
    short = [t for t in trials[2:] if t.fidelity is Fidelity.SHORT]
    assert [t.configuration for t in untrained] == list(MANY)[:12]
    assert all(t.parent is None for t in untrained)
    # 4 * 8 / 12 = 2 after eight candidates, of which the second place is the fold's, and 2 after all.
    assert [t.number for t in trials[2:]].index(short[0].number) == 8
    assert len(short) == 4
    assert short[1].configuration == FOLD
    for promoted in short:
        parent = trials[promoted.parent or 0]
        assert (parent.fidelity, parent.configuration) == (Fidelity.CALIBRATED, promoted.configuration)
        assert promoted.origin == f"promoted #{parent.number}"
        assert promoted.value("accuracy_drop") == pytest.approx(parent.value("accuracy_drop") / 10)
        assert promoted.value("latency_ms") == parent.value("latency_ms")
    assert len({(t.configuration, t.fidelity) for t in trials}) == len(trials)  # one trial each
    assert trials[-1].fidelity is Fidelity.FULL
    assert trials[trials[-1].parent or 0].fidelity is Fidelity.SHORT
    assert {job.stage for job in executor.jobs} == {Stage.STRUCTURE, Stage.CALIBRATED, Stage.SHORT, Stage.FULL}
    assert [t.number for t in proposer.told] == [0, *range(2, 2 + 16)]
    assert (bench.statuses[-2].n_done, bench.statuses[-2].n_total) == (16, 16)


def test_a_stopped_search_promotes_the_same(bench: Bench, tmp_path: Path, small_space: SearchSpace) -> None:
    whole, _, _ = bench.search(list(MANY), 12, n_short=4, answers=MANY)
    directory = RunDirectory(tmp_path / "again")
    for n_before in (2, 9, 11, 14):
        shutil.rmtree(directory.root, ignore_errors=True)
        directory.root.mkdir()
        record = Record(directory, small_space)
        for trial in whole[:n_before]:
            record.add(trial)
        again, _, _ = Bench(directory, small_space).search(list(MANY), 12, n_short=4, answers=MANY)
        assert [(t.configuration, t.fidelity, t.parent) for t in again] == [
            (t.configuration, t.fidelity, t.parent) for t in whole
        ]


def test_several_slots_fill_the_rungs_too(bench: Bench) -> None:
    trials, _, _ = bench.search(list(MANY), 12, n_short=5, answers=MANY, n_slots=3, is_last_first=True)
    assert sum(t.fidelity is Fidelity.CALIBRATED for t in trials) == 12
    assert sum(t.fidelity is Fidelity.SHORT and t.parent is not None for t in trials) == 5


def test_an_exhausted_space_still_has_its_last_round(bench: Bench) -> None:
    trials, _, _ = bench.search([FOLD, GOOD, FAST], 100, n_short=2)
    assert [t.fidelity for t in trials[2:]] == [Fidelity.CALIBRATED] * 3 + [Fidelity.SHORT] * 2


def test_what_fails_on_any_rung_is_a_trial_of_that_rung(bench: Bench) -> None:
    failures = {(GOOD, Stage.CALIBRATED): "RuntimeError: shapes", (FAST, Stage.SHORT): "TrainingError: nan"}
    trials, _, _ = bench.search([GOOD, FAST], 2, n_short=2, failures=failures)
    assert [(t.configuration, t.fidelity, t.state) for t in trials[2:]] == [
        (GOOD, Fidelity.CALIBRATED, State.FAILED),
        (FAST, Fidelity.CALIBRATED, State.COMPLETE),
        (FAST, Fidelity.SHORT, State.FAILED),
    ]
    assert trials[4].parent == 3


def test_final_members_by_rank(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, FAST, FOLD], 3, n_final=3, rule="rank")
    # Drops 0, 2, 3; latency and size, in logarithms below the slowest, 0, .22, .92; the reference a tenth of the ranges
    # beyond the worst: FAST adds .3 x (1.01² - .31²), FOLD 1 x (.31² - .09²), GOOD 2 x .09².
    assert [t.configuration for t in trials[5:]] == [FAST, FOLD, GOOD]


# --- other goals than the default ones


def test_what_breaks_a_limit_on_cost_is_closed_without_training(bench: Bench) -> None:
    goals = parse_goals([], ["accuracy_drop<=1pt", "size<=450"], ["cpu"])
    trials, executor, _ = bench.search([GOOD, FAST], 2, goals=goals)
    assert [t.state for t in trials[2:]] == [State.DOMINATED, State.COMPLETE]
    assert trials[2].reason == "size_bytes is 500, the limit is size<=450"
    assert (GOOD, Stage.SHORT) not in [(job.configuration, job.stage) for job in executor.jobs]


def test_a_limit_on_accuracy_closes_nothing_but_filters_the_front(bench: Bench) -> None:
    goals = parse_goals([], ["accuracy_drop<=1pt"], ["cpu"])
    trials, _, _ = bench.search([FAST, GOOD], 2, n_final=2, goals=goals)
    # FAST loses 3 points after the short fine-tune, more than 2.5: it is promoted last.
    assert [(t.configuration, t.fidelity) for t in trials[2:]] == [
        (FAST, Fidelity.SHORT),
        (GOOD, Fidelity.SHORT),
        (GOOD, Fidelity.FULL),
        (FAST, Fidelity.FULL),
    ]
    assert [t.configuration for t in front(trials, Fidelity.FULL, goals)] == [GOOD]
    assert bench.statuses[-1].within_pt == 1.0


def test_a_candidate_is_judged_by_the_objectives_alone(
    tmp_path: Path, small_space: SearchSpace, make_trial: MakeTrial
) -> None:
    """Slower than GOOD, and less accurate; but where only the size counts beside accuracy, a little smaller will do."""
    size_only = parse_goals(["accuracy", "size"], [], ["cpu"])
    bench = Bench(RunDirectory(tmp_path), small_space)
    record = Record(bench.directory, small_space, size_only)
    record.add(make_trial(0, {}, 0.0, 1.0, 1000))
    record.add(make_trial(1, {}, 0.1, 1.0, 1000, Fidelity.FULL, is_verified=True))
    slow = Configuration.of({"prune/a": 16})
    answers = {**ANSWERS, slow: (0.5, 9.0, 499.0)}
    trials, _, _ = bench.search([GOOD, SLOW, slow], 3, answers=answers, goals=size_only)
    assert [t.state for t in trials[2:]] == [State.COMPLETE, State.DOMINATED, State.COMPLETE]
    assert bench.statuses[-1].main_cost == "size"
    assert bench.statuses[-1].best_speedup == pytest.approx(1000 / 499)


def test_what_has_not_all_scores_is_a_failed_trial(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD], 1, goals=parse_goals([], ["energy<=1mJ"], ["cpu"]))
    assert trials[2].state is State.FAILED
    assert trials[2].reason == "energy_mj was not measured"
    assert trials[2].value("latency_ms") == 0.5  # what was measured is kept
