import math
from dataclasses import replace

import pytest

from parefront.search import RunDirectory, State, read_trials
from parefront.search.executor import Stage
from parefront.search.proposal import Proposal
from parefront.search.record import Record
from parefront.spaces import Configuration, SearchSpace

from .conftest import ListProposer
from .engine_bench import ANSWERS, FAST, FOLD, GOOD, SLOW, Bench, configurations


@pytest.fixture
def bench(begun_run: RunDirectory, small_space: SearchSpace) -> Bench:
    return Bench(begun_run, small_space)


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


def test_with_many_slots_proposals_are_made_ahead_in_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parefront.search.engine.SLOTS_PER_PROPOSAL", 1)
    monkeypatch.setattr("parefront.search.engine.MAX_BATCH", 2)
    sizes, ask = list[int](), ListProposer.ask

    def noted(self: ListProposer, n: int) -> list[Proposal]:
        sizes.append(n)
        return ask(self, n)

    monkeypatch.setattr(ListProposer, "ask", noted)
    candidates = configurations(9)
    answers = {configuration: (1.0, 0.5 - 0.01 * i, 500.0 - i) for i, configuration in enumerate(candidates)}
    trials, _, _ = bench.search(candidates, 7, n_slots=3, answers=answers)
    assert [t.configuration for t in trials[2:]] == candidates[:7]
    assert sizes == [2, 2, 2, 1]  # never more than are missing


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
