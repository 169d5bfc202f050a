import math
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cluster_null import NullBench, null_scores, null_search, open_record
from benchmarks.cluster_speedup import latency_pairs, spearman, trials_per_minute
from benchmarks.cluster_storm import compared, descendants
from benchmarks.cluster_utilisation import DriverClock, SimulatedWorkers, busy_share, ideal_share, utilisation_figures
from benchmarks.search_quality_costs import synthetic_space
from parefront.evaluators import Evaluation
from parefront.evaluators.evaluator import Score
from parefront.search import Fidelity, RunDirectory, State, Trial
from parefront.search.executor import InProcessExecutor, Job, Stage
from parefront.spaces import Configuration


class Watch:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_simulated_time_is_real_while_the_driver_computes_and_leaps_while_it_waits(watch: Watch) -> None:
    clock = DriverClock(watch)
    watch.now_s += 2
    assert clock.now() == 2
    clock.leap_to(10)
    clock.leap_to(5)  # has passed
    assert (clock.now(), clock.leapt_s) == (10, 8)
    with clock.stopped():
        watch.now_s += 50
    assert clock.now() == 10


@pytest.fixture
def workers(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> SimulatedWorkers:
    """Two; a structure takes 1 s, an accuracy as many seconds as the ticket says."""
    duration = lambda self, job: 1.0 if job.stage is Stage.STRUCTURE else float(job.ticket)  # noqa: E731
    monkeypatch.setattr(SimulatedWorkers, "duration_s", duration)
    return SimulatedWorkers(synthetic_space(), 2, DriverClock(watch))


def test_a_slow_driver_is_seen_as_idle_workers(workers: SimulatedWorkers, watch: Watch) -> None:
    watch.now_s += 1  # before anything is begun
    for ticket in (4, 8):
        workers.submit(Job(ticket, Stage.STRUCTURE, Configuration(), "x"))
    for _ in range(2):
        job, outcome = workers.next_done()
        assert isinstance(outcome, Evaluation)
        assert "accuracy" not in outcome.scores
        watch.now_s += 1
        workers.submit(Job(job.ticket, Stage.SHORT, Configuration(), "x", outcome))
    # 1-2 both structures; the driver takes a second for each: 3-7 the one accuracy, 4-12 the other.
    assert workers.spans == [(1, 2), (1, 2), (3, 7), (4, 12)]
    assert busy_share(workers, 0, 12) == pytest.approx((1 + 1 + 4 + 8) / (2 * 12))
    assert busy_share(workers, 0, 4) == pytest.approx((1 + 1 + 1 + 0) / (2 * 4))
    assert ideal_share(workers) == pytest.approx((5 + 9) / (2 * 9))
    assert [workers.next_done()[0].ticket for _ in range(2)] == [4, 8]


def test_a_short_search_on_simulated_workers() -> None:
    figures = utilisation_figures("random", n_workers=4, n_trials=12)
    assert figures["n_ended"] >= 12
    assert 0 < figures["utilisation_to_end"] <= figures["utilisation_to_end_ideal"] <= 1
    assert 0 < figures["utilisation"] <= 1


def test_the_null_evaluator_says_the_same_of_the_same_configuration(tmp_path: Path) -> None:
    record = open_record(RunDirectory(tmp_path), synthetic_space())
    null_search(record, InProcessExecutor(NullBench()), "random", 3)  # type: ignore[arg-type]
    assert len(record.trials) == 4
    for trial in record.trials:
        assert trial.scores == null_scores(trial.configuration, has_accuracy=True)
        assert 0 <= trial.value("accuracy_drop") <= 5


MakeTrial = Callable[..., Trial]


@pytest.fixture
def make() -> MakeTrial:
    def made(width: int, drop: float | None = 1.0, reason: str = "", **details: object) -> Trial:
        scores = [Score("accuracy_drop", drop or 0.0, "pt", False), Score("latency_ms", width / 8, "ms", False)]
        scores += [Score("size_bytes", 8.0 * width, "bytes", False)]
        found = {} if drop is None else {score.name: score for score in scores}
        state = State.FAILED if drop is None else State.COMPLETE
        choices = Configuration.of({"prune/a": width})
        return Trial(width, choices, Fidelity.SHORT, state, found, reason=reason, details=details)

    return made


def test_lost_and_duplicated_trials_are_counted(make: MakeTrial) -> None:
    calm = [make(8, 3.0), make(16, 2.0), make(24, 1.0)]
    figures = compared(calm, calm, 3)
    assert (figures["lost"], figures["duplicated"], figures["n_front"]) == (0, 0, 3)
    assert figures["is_same_front"]
    assert figures["is_same_set"]
    figures = compared(calm, [make(8, 3.0), make(8, 3.0), make(16, None, "the worker died")], 3)
    assert (figures["lost"], figures["duplicated"], figures["failed"]) == (1, 1, 1)
    assert not figures["is_same_front"]
    assert not figures["is_same_set"]
    assert compared(calm, [*calm[:2], make(24, None)], 3)["lost"] == 1  # failed without a reason


def test_trials_per_minute_leave_the_workers_start_out(make: MakeTrial) -> None:
    trials = [make(k, ended={"wall_s": seconds}) for k, seconds in enumerate((20.0, 22.0, 26.0, 32.0, 34.0), start=1)]
    assert trials_per_minute(trials, 1) == pytest.approx(60 * 4 / 14)
    assert trials_per_minute(trials, 2) == pytest.approx(60 * 3 / 12)


def test_latencies_of_the_same_configurations_are_compared(make: MakeTrial) -> None:
    pairs = latency_pairs([make(8), make(16), make(24), make(32, None)], [make(24), make(8), make(40), make(32)])
    assert pairs == [(3.0, 3.0), (1.0, 1.0)]
    # Ranks 1 2 3 4 against 2 1 3 4: 1 - 6 · (1 + 1) / (4 · 15).
    assert spearman([(1, 5), (2, 4), (3, 6), (9, 7)]) == pytest.approx(1 - 12 / 60)
    assert math.isclose(spearman([(1, 1), (2, 10), (3, 100)]), 1.0)


def test_a_process_that_ended_has_no_descendants() -> None:
    assert descendants(2**22 + 1) == set()
