import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parefront.hardware_profiles.errors import SearchError
from parefront.search.goals import Goals
from parefront.search.objectives import parse_objectives
from parefront.search.record import Record
from parefront.search.reuse import MEMORY
from parefront.search.reuse_plan import plan_reuse
from parefront.search.run_directory import RunDirectory
from parefront.search.trial import REMEASURED, Fidelity, State, Trial
from parefront.spaces import SearchSpace

MakeTrial = Callable[..., Trial]
FACTS: dict[str, Any] = {
    "task": "small",
    "task_key": "k",
    "version": "1",
    "seed": 0,
    "options": {},
    "hardware": "board",
    "profile_key": "p",
    "fingerprint_key": "f",
    "other_hardware": "none",
    "other_profile_key": "none",
    "other_fingerprint_key": "none",
    "lowest_fidelity": "short",
}


@pytest.fixture
def old(tmp_path: Path, small_space: SearchSpace, make_trial: MakeTrial) -> Path:
    """Two baseline trials; 2 behind 3 and 4, the front; 5 closed, 6 failed, 7 the final member of 4; 8 untrained."""
    directory = RunDirectory(tmp_path / "old")
    directory.write_manifest({**FACTS, "goals": Goals().to_json()})
    directory.artefacts.mkdir()
    np.savez(directory.artefacts / MEMORY, samples=[1.0])
    record = Record(directory, small_space)
    closed = make_trial(5, {"prune/a": 24}, 9.0, 0.9, 900)
    for trial in (
        make_trial(0, {}, 0.1, 1.0, 1000),
        make_trial(1, {}, 0.0, 1.0, 1000, Fidelity.FULL, is_verified=True),
        make_trial(2, {"bits/a": 8}, 2.0, 0.8, 800),
        make_trial(3, {"prune/a": 16}, 1.0, 0.5, 500),
        make_trial(4, {"prune/a": 8}, 3.0, 0.3, 300),
        replace(closed, state=State.DOMINATED, reason="not faster"),
        make_trial(6, {"bits/b": 8}),
        make_trial(7, {"prune/a": 8}, 1.0, 0.3, 300, Fidelity.FULL, 4, True),
        make_trial(8, {"rank/b": "spatial:8"}, 40.0, 0.4, 400, Fidelity.CALIBRATED),
    ):
        record.add(trial)
    return directory.root


def taken(old: Path, space: SearchSpace, goals: Goals | None = None, **facts: Any) -> list[int]:
    return [t.number for t in plan_reuse(old, {**FACTS, **facts}, space, goals or Goals()).trials]


def test_on_the_same_machine_all_is_taken_front_first_and_final_members_last(
    old: Path, small_space: SearchSpace
) -> None:
    plan = plan_reuse(old, FACTS, small_space, Goals())
    numbers = [trial.number for trial in plan.trials]
    assert set(numbers[:2]) == {3, 4}
    assert numbers[2:] == [2, 5, 6, 7]
    assert plan.has_accuracy
    assert plan.has_latency
    assert [trial.number for trial in plan.baseline] == [0, 1]
    assert plan.best_accuracy == 90
    assert plan.summary == "from old: 6 trials, all their scores hold; left 1: judged without training only"


@pytest.mark.parametrize(
    "fact",
    ["hardware", "profile_key", "fingerprint_key", "other_hardware", "other_profile_key", "other_fingerprint_key"],
)
def test_on_another_machine_trained_candidates_are_taken(old: Path, small_space: SearchSpace, fact: str) -> None:
    plan = plan_reuse(old, {**FACTS, fact: "other"}, small_space, Goals())
    assert {trial.number for trial in plan.trials[:2]} == {3, 4}
    assert [trial.number for trial in plan.trials[2:]] == [2]
    assert (plan.has_accuracy, plan.has_latency, plan.baseline) == (True, False, ())
    assert plan.notes == (
        "left 2: closed or failed then",
        "left 1: final members, which are trained and measured anew",
        "left 1: judged without training only",
    )


@pytest.mark.parametrize(("fact", "words"), [("seed", "another seed"), ("options", "other options of the techniques")])
def test_with_other_training_only_the_front_is_proposed(
    old: Path, small_space: SearchSpace, fact: str, words: str
) -> None:
    plan = plan_reuse(old, {**FACTS, fact: "other"}, small_space, Goals())
    assert {trial.number for trial in plan.trials} == {3, 4}
    assert (plan.has_accuracy, plan.has_latency) == (False, False)
    assert plan.summary == f"from old: 2 trials, proposed first; {words}"


def test_untrained_candidates_serve_a_search_that_judges_so(old: Path, small_space: SearchSpace) -> None:
    assert 8 in taken(old, small_space, lowest_fidelity="calibrated")


def test_with_other_goals_what_was_closed_may_be_proposed_again(old: Path, small_space: SearchSpace) -> None:
    goals = Goals(parse_objectives(["accuracy", "size"]))
    assert sorted(taken(old, small_space, goals)) == [2, 3, 4, 7]


def test_a_score_that_counts_now_must_be_there(old: Path, small_space: SearchSpace) -> None:
    plan = plan_reuse(old, FACTS, small_space, Goals(parse_objectives(["accuracy", "macs"])))
    assert plan.trials == ()
    assert "left 4: lacking a score that counts now" in plan.notes


def test_choices_that_the_space_lacks_are_left_and_counted(old: Path, small_space: SearchSpace) -> None:
    sites = tuple(site for site in small_space.sites if site.name != "prune/a")
    widths = {name: replace(each, inputs=(), output=None) for name, each in small_space.widths.items()}
    plan = plan_reuse(old, FACTS, SearchSpace(sites, (), widths), Goals())
    assert [trial.number for trial in plan.trials] == [2, 6]
    assert "left 4: choices that cannot be made now" in plan.notes


def test_what_was_measured_again_is_taken_once(old: Path, small_space: SearchSpace, make_trial: MakeTrial) -> None:
    again = replace(make_trial(9, {"prune/a": 16}, 1.0, 0.52, 500), details={REMEASURED: 3})
    Record(RunDirectory(old), small_space).add(again)
    numbers = taken(old, small_space)
    assert 9 in numbers
    assert 3 not in numbers


def test_without_the_baselines_results_latencies_do_not_hold(old: Path, small_space: SearchSpace) -> None:
    (old / "artefacts" / MEMORY).unlink()
    assert not plan_reuse(old, FACTS, small_space, Goals()).has_latency


def test_another_task_is_refused(old: Path, small_space: SearchSpace) -> None:
    with pytest.raises(SearchError, match=r"carry over where network, .* are the same, but .*old searched small with"):
        plan_reuse(old, {**FACTS, "task_key": "other"}, small_space, Goals())


def test_what_is_no_run_is_refused(old: Path, small_space: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"--from must be the directory of a run, but .*nothing has no run\.json"):
        plan_reuse(tmp_path / "nothing", FACTS, small_space, Goals())
    empty = RunDirectory(tmp_path / "empty")
    empty.root.mkdir()
    shutil.copy(old / "run.json", empty.manifest)
    Record(empty, small_space)
    with pytest.raises(SearchError, match=r"a run with trials, but .*empty has none"):
        plan_reuse(empty.root, FACTS, small_space, Goals())
