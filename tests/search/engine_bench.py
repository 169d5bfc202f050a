"""A search on made-up results: an executor that answers from a table, and a run directory to search in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.search import RunDirectory, Trial, read_trials
from parefront.search.engine import Engine
from parefront.search.executor import Failure, Job, Stage
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.record import Record
from parefront.search.rungs import Rungs
from parefront.search.status import OnStatus, Status
from parefront.spaces import Configuration, SearchSpace

from .conftest import ListProposer


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
    on_status: OnStatus | None = None

    def search(
        self, configurations: list[Configuration], n_trials: int, n_final: int = 0, **options: object
    ) -> tuple[list[Trial], FakeExecutor, ListProposer]:
        answers = options.pop("answers", ANSWERS)
        rungs = Rungs(n_trials, options.pop("n_short", None), n_final, options.pop("rule", "aimed"))  # type: ignore[arg-type]
        goals = options.pop("goals", DEFAULT_GOALS)
        cut = {"has_cut": options.pop("has_cut", True), "forecaster": options.pop("forecaster", None)}
        executor = FakeExecutor(answers, self.directory.journal, **options)  # type: ignore[arg-type]
        proposer = ListProposer(configurations)
        record = Record(self.directory, self.space, goals)  # type: ignore[arg-type]
        on_status = self.on_status or self.statuses.append
        Engine(executor, proposer, record, on_status, goals, **cut).run(rungs)  # type: ignore[arg-type]
        return record.trials, executor, proposer


def configurations(n: int) -> list[Configuration]:
    every = [
        Configuration.of({name: choice for name, choice in chosen.items() if choice != 32})
        for chosen in (
            {"prune/a": width, "bits/a": a, "bits/b": b} for width in (32, 24, 16, 8) for a in (32, 8) for b in (32, 8)
        )
    ]
    return [configuration for configuration in every if configuration][:n]
