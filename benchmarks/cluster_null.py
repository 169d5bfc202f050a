"""A search whose evaluations are a formula: what is left is the engine, and Ray."""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from benchmarks import search_quality_costs
from benchmarks.search_quality_costs import synthetic_damages, synthetic_space
from parefront.evaluators import Evaluation, Workbench
from parefront.evaluators.cost_tables import CostTables
from parefront.evaluators.evaluator import Score
from parefront.search import Fidelity, RunDirectory, State, Trial
from parefront.search.engine import Engine
from parefront.search.executor import Executor
from parefront.search.pending import PendingProposals
from parefront.search.proposal import Proposer
from parefront.search.proposer import TableProposer
from parefront.search.ray_cluster import actor_options
from parefront.search.ray_executor import RayExecutor
from parefront.search.record import Record
from parefront.search.rungs import Rungs
from parefront.search.samplers import open_sampler
from parefront.search.settings import OWN_SAMPLER
from parefront.search.workers import Workers
from parefront.spaces import Configuration, SearchSpace

N_WORKERS = 2


class NullBench:
    """As a workbench, but for its results: they follow from the configuration's text, always the same."""

    machines: dict[str, Any] = {}  # noqa: RUF012  # as a workbench has it

    def __init__(self, seconds: float = 0.0, pids: Path | None = None) -> None:
        """Opens.

        Args:
            seconds: Of every accuracy.
            pids: Directory in which the process leaves its number; None for none.
        """
        self._seconds = seconds
        if pids is not None:
            (pids / str(os.getpid())).touch()

    def structure(self, configuration: Configuration, name: str) -> Evaluation:
        return Evaluation(null_scores(configuration, has_accuracy=False), {"measure": 0.0}, Path(f"{name}.onnx"))

    def short(self, configuration: Configuration, structure: Evaluation, *_: object) -> Evaluation:
        time.sleep(self._seconds)
        scores = null_scores(configuration, has_accuracy=True)
        return Evaluation(scores, {"train": self._seconds}, structure.artefact)


def null_scores(configuration: Configuration, *, has_accuracy: bool) -> dict[str, Score]:
    """Up to 5 points of accuracy, 10 times the speed and 10 times the size for what is compressed."""
    numbers = [zlib.crc32(f"{name} {configuration.key}".encode()) / 2**32 for name in ("drop", "latency", "size")]
    drop, latency, size = (5 * numbers[0], 0.1 ** numbers[1], 0.1 ** numbers[2]) if configuration else (0.0, 1.0, 1.0)
    scores = [Score("latency_ms", latency, "ms", False), Score("size_bytes", 1e6 * size, "bytes", False)]
    if has_accuracy:
        scores += [Score("accuracy", 90 - drop, "%", True), Score("accuracy_drop", drop, "pt", False)]
    return {score.name: score for score in scores}


def open_record(directory: RunDirectory, space: SearchSpace) -> Record:
    """A run's record, with the baseline in it."""
    record = Record(directory, space)
    if not record.trials:
        scores = null_scores(Configuration(), has_accuracy=True)
        record.add(Trial(0, Configuration(), Fidelity.SHORT, State.COMPLETE, scores, origin="baseline"))
    return record


def null_search(record: Record, executor: Executor, sampler: str, n_trials: int) -> Engine:
    """Searches, or goes on, as a session with workers does; what a candidate's place depends on chance is left out."""
    space = synthetic_space()
    proposer = PendingProposals(record.directory.pending, proposer_of(space, sampler))
    # Without the cut: which candidates it closes depends on which end before them.
    engine = Engine(executor, proposer, record, lambda status: None, has_cut=False)
    engine.run(Rungs(n_trials))
    return engine


def proposer_of(space: SearchSpace, sampler: str) -> Proposer:
    """Ours, which begins without tables, or one of those beside it."""
    if sampler != OWN_SAMPLER:
        return open_sampler(space, sampler, seed=0)
    return TableProposer(space, CostTables(space), synthetic_damages(space), 0)


def open_executor(n_workers: int, seconds: float = 0.0, pids: Path | None = None) -> RayExecutor:
    """Workers on a Ray that is connected already."""
    for module in (sys.modules[__name__], search_quality_costs):
        ray.cloudpickle.register_pickle_by_value(module)  # workers cannot import benchmarks
    open_bench: Callable[[], Any] = lambda: NullBench(seconds, pids)  # noqa: E731
    return RayExecutor(_as_bench(open_bench), n_workers, actor_options(null_workers(n_workers)))


def null_workers(n_workers: int) -> Workers:
    """What is asked of Ray; the task is never loaded."""
    return Workers("none", n_workers)


def _as_bench(open_bench: Callable[[], Any]) -> Callable[[], Workbench]:
    return open_bench
