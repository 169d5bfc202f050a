from dataclasses import replace

import pytest

from parefront.search import Fidelity, RunDirectory, State, front, read_trials
from parefront.search.executor import Stage
from parefront.search.status import Status
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


# --- on several slots

MEMBERS = [GOOD, FAST, FOLD]


def test_final_members_are_trained_side_by_side_and_recorded_as_they_end(bench: Bench) -> None:
    trials, executor, _ = bench.search(MEMBERS, 3, n_final=3, n_slots=3, is_last_first=True)
    begun = [job.ticket for job in executor.jobs if job.stage is Stage.FULL]
    # All three began before one ended; the last one ended first.
    assert [t.parent for t in trials[5:]] == list(reversed(begun))
    assert sorted(begun) == [2, 3, 4]
    for final in trials[5:]:
        parent = trials[final.parent or 0]
        assert (final.configuration, final.artefact) == (parent.configuration, f"final-{parent.number}")
    assert [(s.n_done, s.n_total) for s in bench.statuses[-3:]] == [(1, 3), (2, 3), (3, 3)]
    assert {t.details["ended"]["n_slots"] for t in trials[2:]} == {3}


def test_more_members_than_slots_are_as_many_as_were_asked_for(bench: Bench) -> None:
    trials, _, _ = bench.search(MEMBERS, 3, n_final=3, n_slots=2, is_last_first=True, rule="rank")
    assert sorted(t.parent or 0 for t in trials[5:]) == [2, 3, 4]
    assert len(bench.search(MEMBERS, 3, n_final=3, n_slots=2)[0]) == len(trials)


def test_a_killed_final_member_is_trained_again_and_no_other(bench: Bench) -> None:
    bench.search(MEMBERS, 3)

    def interrupt(status: Status) -> None:
        raise KeyboardInterrupt

    # The driver is stopped when the first of three has ended, and two are under way.
    with pytest.raises(KeyboardInterrupt):
        replace(bench, on_status=interrupt).search(MEMBERS, 3, n_final=3, n_slots=3)
    killed = read_trials(bench.directory.journal)
    assert [t.fidelity for t in killed[5:]] == [Fidelity.FULL]
    trials, executor, _ = bench.search(MEMBERS, 3, n_final=3, n_slots=3)
    assert trials[: len(killed)] == killed
    assert len(executor.jobs) == 2
    assert sorted(t.parent or 0 for t in trials[5:]) == [2, 3, 4]


def test_one_that_fails_stops_none_beside_it(bench: Bench) -> None:
    failures = {(FAST, Stage.FULL): "the worker died 3 times in the full stage: out of memory"}
    trials, _, _ = bench.search(MEMBERS, 3, n_final=3, n_slots=3, failures=failures)
    assert {t.configuration: t.state for t in trials[5:]} == {
        GOOD: State.COMPLETE,
        FAST: State.FAILED,
        FOLD: State.COMPLETE,
    }
    assert next(t.reason for t in trials if t.state is State.FAILED) == failures[FAST, Stage.FULL]
