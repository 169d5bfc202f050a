"""A rung without training below the short one: `engine.py`."""

import shutil
from pathlib import Path

import pytest

from parefront.search import Fidelity, RunDirectory, State
from parefront.search.executor import Stage
from parefront.search.record import Record
from parefront.spaces import SearchSpace

from .engine_bench import FAST, FOLD, GOOD, Bench, configurations


@pytest.fixture
def bench(begun_run: RunDirectory, small_space: SearchSpace) -> Bench:
    return Bench(begun_run, small_space)


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
