"""What fails is a trial with its reason; a search of failures only ends: `engine.py` and `executor.py`."""

import pytest

from parefront.evaluators import Evaluation
from parefront.hardware_profiles import SearchError
from parefront.search import RunDirectory, State, read_trials
from parefront.search.executor import Failure, Job, Stage, run_job
from parefront.spaces import Configuration, SearchSpace

from .engine_bench import FAST, GOOD, Bench, configurations


@pytest.fixture
def bench(begun_run: RunDirectory, small_space: SearchSpace) -> Bench:
    return Bench(begun_run, small_space)


@pytest.mark.parametrize("stage", [Stage.STRUCTURE, Stage.SHORT])
def test_a_failed_candidate_is_a_trial_with_its_reason(bench: Bench, stage: Stage) -> None:
    trials, _, proposer = bench.search([FAST, GOOD], 2, failures={(FAST, stage): "ExportError: no such operator"})
    assert trials[2].state is State.FAILED
    assert trials[2].reason == "ExportError: no such operator"
    assert not trials[2].scores
    assert trials[3].state is State.COMPLETE  # the search went on
    assert proposer.told[1] == trials[2]
    assert "failed: ExportError: no such operator" in bench.statuses[0].last


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
