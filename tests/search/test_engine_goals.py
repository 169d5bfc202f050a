"""Other goals than the default ones: `engine.py`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from parefront.search import Fidelity, RunDirectory, State, Trial, front
from parefront.search.executor import Stage
from parefront.search.goals import parse_goals
from parefront.search.record import Record
from parefront.spaces import Configuration, SearchSpace

from .engine_bench import ANSWERS, FAST, GOOD, SLOW, Bench

MakeTrial = Callable[..., Trial]


@pytest.fixture
def bench(begun_run: RunDirectory, small_space: SearchSpace) -> Bench:
    return Bench(begun_run, small_space)


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
