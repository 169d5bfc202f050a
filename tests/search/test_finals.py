import pytest

from parefront.search import Fidelity, RunDirectory, State, front
from parefront.search.executor import Stage
from parefront.spaces import SearchSpace

from .engine_bench import FAST, FOLD, GOOD, Bench


@pytest.fixture
def bench(begun_run: RunDirectory, small_space: SearchSpace) -> Bench:
    return Bench(begun_run, small_space)


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


def test_final_members_by_rank(bench: Bench) -> None:
    trials, _, _ = bench.search([GOOD, FAST, FOLD], 3, n_final=3, rule="rank")
    # Drops 0, 2, 3; latency and size, in logarithms below the slowest, 0, .22, .92; the reference a tenth of the ranges
    # beyond the worst: FAST adds .3 x (1.01² - .31²), FOLD 1 x (.31² - .09²), GOOD 2 x .09².
    assert [t.configuration for t in trials[5:]] == [FAST, FOLD, GOOD]
