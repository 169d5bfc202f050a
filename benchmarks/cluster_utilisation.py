"""How busy 1,000 simulated workers are kept by the real engine: whatever the driver computes, they wait for."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cluster_null import proposer_of
from benchmarks.search_quality_costs import synthetic_space, synthetic_trial
from benchmarks.search_quality_figures import Figures
from parefront.evaluators import Evaluation
from parefront.hardware_profiles.runtimes import OperatorTime
from parefront.search import RunDirectory
from parefront.search.clock import Clock
from parefront.search.engine import Engine
from parefront.search.executor import Failure, Job, Stage
from parefront.search.pending import PendingProposals
from parefront.search.random_proposer import RANDOM_SAMPLER
from parefront.search.record import Record, owned
from parefront.search.rungs import Rungs
from parefront.search.settings import N_REPEATS, OWN_SAMPLER
from parefront.spaces import Configuration, SearchSpace

N_WORKERS, N_TRIALS = 1_000, 10_000
MEDIAN_S, SPREAD = 30.0, 0.5
"""Of a trial's duration, log-normal: two thirds of the trials take between 18 and 49 s."""
STRUCTURE_SHARE = 0.1
"""Of a trial's duration, before its accuracy is known to be worth finding out."""
SAMPLERS = (OWN_SAMPLER, RANDOM_SAMPLER)


class DriverClock:
    """Simulated seconds: real ones while the driver computes, and leaps to where it has nothing to do."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        self._offset_s = -real()
        self.leapt_s = 0.0
        """With nothing to do."""

    def now(self) -> float:
        return self._real() + self._offset_s

    def leap_to(self, moment_s: float) -> None:
        """Waits; nothing where the moment has passed."""
        left_s = max(0.0, moment_s - self.now())
        self._offset_s += left_s
        self.leapt_s += left_s

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """For what the benchmark computes and a driver would not."""
        began = self._real()
        yield
        self._offset_s -= self._real() - began


class SimulatedWorkers:
    """An executor whose workers only take their time; evaluations come from a formula."""

    def __init__(self, space: SearchSpace, n_workers: int, clock: DriverClock, seed: int = 0) -> None:
        self._space, self.n_slots, self._clock, self._seed = space, n_workers, clock, seed
        self._running: list[tuple[float, int, Job]] = []
        self.spans: list[tuple[float, float]] = []
        """When each job began and ended, in simulated s."""
        self.whole_s: dict[int, float] = {}
        """What each trial takes, by its ticket, in the order of their beginnings."""
        self.last_begin_s = 0.0
        """When the last candidate was begun."""

    def submit(self, job: Job) -> None:
        began = self._clock.now()
        with self._clock.stopped():
            ended = began + self.duration_s(job)
            self.spans.append((began, ended))
            self.whole_s[job.ticket] = self.whole_s.get(job.ticket, 0.0) + ended - began
            heapq.heappush(self._running, (ended, len(self.spans), job))
            assert len(self._running) <= self.n_slots
            if job.stage is Stage.STRUCTURE:
                self.last_begin_s = began

    def next_done(self) -> tuple[Job, Evaluation | Failure]:
        ended, _, job = heapq.heappop(self._running)
        self._clock.leap_to(ended)
        with self._clock.stopped():
            return job, self._evaluation(job)

    def close(self) -> None:
        pass

    def duration_s(self, job: Job) -> float:
        """The same for the same ticket, whatever was asked before."""
        whole_s = random.Random(f"{self._seed}:{job.ticket}").lognormvariate(0.0, SPREAD) * MEDIAN_S
        is_short = job.stage in (Stage.STRUCTURE, Stage.REPEAT)
        return whole_s * (STRUCTURE_SHARE if is_short else 1 - STRUCTURE_SHARE)

    def _evaluation(self, job: Job) -> Evaluation:
        trial = synthetic_trial(self._space, 0, job.configuration)
        has_accuracy = job.stage is not Stage.STRUCTURE
        scores = {n: s for n, s in trial.scores.items() if has_accuracy or not n.startswith("accuracy")}
        times = tuple(OperatorTime(*row) for row in trial.details["operators"])
        return Evaluation(scores, {"train": 1.0}, Path(f"{job.artefact}.onnx"), times)


def utilisation_figures(
    sampler: str,
    n_workers: int = N_WORKERS,
    n_trials: int = N_TRIALS,
    *,
    real: Callable[[], float] = time.perf_counter,
    has_cut: bool = False,
) -> Figures:
    """Runs a search on simulated workers.

    Args:
        sampler: `tables` or `random`.
        n_workers: Simulated.
        n_trials: Candidates.
        real: Counts the driver's seconds: those on the wall, or of the processor where others keep it busy.
        has_cut: Whether candidates may end after their structure, so that more of them end per second.

    Returns:
        `utilisation`, the workers' busy share until no candidate was left to begin; `utilisation_to_end`, until the
        last one ended, and `utilisation_to_end_ideal`, the same with a driver that takes no time; `driver_ms`, the
        driver's time per trial.
    """
    space = synthetic_space()
    clock = DriverClock(real)
    workers = SimulatedWorkers(space, n_workers, clock)
    with TemporaryDirectory() as folder, owned(directory := RunDirectory(Path(folder))):
        record = Record(directory, space)
        record.add(synthetic_trial(space, 0, Configuration()))
        proposer = PendingProposals(directory.pending, proposer_of(space, sampler))
        engine = Engine(workers, proposer, record, lambda status: None, clock=Clock(clock.now), has_cut=has_cut)
        began, real_s = clock.now(), real()
        engine.run(Rungs(n_trials, n_repeats=N_REPEATS))
        n_ended = len(record.trials) - 1
        driver_s = clock.now() - began - clock.leapt_s
    end_s = max(ended for _, ended in workers.spans)
    return {
        "utilisation": round(busy_share(workers, began, workers.last_begin_s), 4),
        "utilisation_to_end": round(busy_share(workers, began, end_s), 4),
        "utilisation_to_end_ideal": round(ideal_share(workers), 4),
        "simulated_s": round(end_s - began, 1),
        "n_ended": n_ended,
        "real_s": round(real() - real_s, 1),
        "driver_ms": round(1e3 * driver_s / n_ended, 2),
    }


def busy_share(workers: SimulatedWorkers, began_s: float, ended_s: float) -> float:
    """Of all workers' time between two moments, what they spent on jobs."""
    busy_s = sum(max(0.0, min(end, ended_s) - max(begin, began_s)) for begin, end in workers.spans)
    return busy_s / (workers.n_slots * (ended_s - began_s))


def ideal_share(workers: SimulatedWorkers) -> float:
    """The busy share to the end if each trial began in the moment in which a worker was free."""
    free_s = [0.0] * workers.n_slots
    for whole_s in workers.whole_s.values():
        heapq.heapreplace(free_s, free_s[0] + whole_s)
    return sum(workers.whole_s.values()) / (workers.n_slots * max(free_s))
