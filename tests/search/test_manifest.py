from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import SearchError
from parefront.search import RunDirectory, Trial
from parefront.search.clock import Clock, Spent
from parefront.search.goals import DEFAULT_GOALS, parse_goals
from parefront.search.manifest import check_same, overhead_fraction, spent_facts
from parefront.search.trial import Fidelity, State
from parefront.spaces import Configuration


def trial(number: int, **seconds: float) -> Trial:
    return Trial(number, Configuration(), Fidelity.SHORT, State.COMPLETE, {}, seconds=seconds)


def test_time_is_told_by_stage_and_the_rest_is_overhead() -> None:
    ticks = iter((100.0, 140.0))
    clock = Clock(wall=lambda: next(ticks), cpu=lambda: 0.0, before=Spent(wall_s=60.0, cpu_s=7.0))
    # What the two trials of the baseline took is in its own 20 s.
    trials = [trial(0, train=50.0), trial(1), trial(2, train=30.0, prepare=5.0), trial(3, train=10.0, measure=4.0)]
    told = spent_facts(clock, 20.0, trials)
    # 100 s in all, of which 20 + 40 + 4 are accounted for; preparing is our own code.
    assert told["seconds"] == {"baseline": 20.0, "total": 100.0, "train": 40.0, "measure": 4.0, "overhead": 36.0}
    assert told["overhead_fraction"] == 0.36
    assert told["cpu_seconds"] == 7.0


def test_what_ran_side_by_side_counts_by_its_share() -> None:
    """Two workers for 100 s: 120 s of training and 30 s of measuring on them, of 160 s that they were there."""
    ticks = iter((0.0, 100.0))
    clock = Clock(wall=lambda: next(ticks), cpu=lambda: 0.0)
    beside = {"ended": {"wall_s": 1.0, "cpu_s": 1.0, "n_slots": 2}}
    each = [trial(0), trial(1), trial(2, train=70.0, measure=30.0), trial(3, train=50.0, prepare=5.0)]
    told = spent_facts(clock, 20.0, [replace(t, details=beside) for t in each])
    assert told["seconds"] == {"baseline": 20.0, "total": 100.0, "train": 60.0, "measure": 15.0, "overhead": 5.0}
    assert told["overhead_fraction"] == 0.05


def test_the_share_of_overhead() -> None:
    assert overhead_fraction({"overhead": 2.0, "total": 40.0}) == 0.05
    assert overhead_fraction({}) == 0


@pytest.fixture
def facts() -> dict[str, Any]:
    names = ("version", "task", "task_key", "hardware", "profile_key", "fingerprint_key", "seed", "sampler")
    more = {"options": {}, "goals": DEFAULT_GOALS.to_json(), "lowest_fidelity": "short"}
    others = dict.fromkeys(("other_hardware", "other_profile_key", "other_fingerprint_key"), "none")
    starts = {"inheritance": "none", "has_cut": True, "has_ladder": False}
    return {**{name: f"its {name}" for name in names}, **others, **more, **starts}


def test_a_run_goes_on_as_it_began(tmp_path: Path, facts: dict[str, Any]) -> None:
    directory = RunDirectory(tmp_path)
    assert check_same(directory, facts) == {}
    directory.write_manifest({**facts, "status": "stopped"})
    assert check_same(directory, {**facts, "n_trials": 9})["status"] == "stopped"


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda facts: {name: fact for name, fact in facts.items() if name not in names}


def test_what_older_runs_do_not_say_was_the_default(tmp_path: Path, facts: dict[str, Any]) -> None:
    directory = RunDirectory(tmp_path)
    others = ("other_hardware", "other_profile_key", "other_fingerprint_key")
    directory.write_manifest(without("goals", *others, "inheritance", "has_cut", "has_ladder")(facts))
    assert check_same(directory, facts)["task"] == "its task"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, "the seed of .* was its seed, now 7: choose another --out"),
        ({"has_cut": False}, "the cut before training of .* was True, now False: "),
        ({"other_hardware": "board"}, "the other hardware profiles of .* was none, now board: "),
        (
            {"goals": parse_goals(["accuracy", "size"], ["size<=1MB"], [""]).to_json()},
            "the objectives or constraints of .* was accuracy, latency, size, now accuracy, size within size<=1MB: ",
        ),
    ],
    ids=["seed", "cut", "profiles", "goals"],
)
def test_a_run_of_something_else_is_refused(
    tmp_path: Path, facts: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    directory = RunDirectory(tmp_path)
    directory.write_manifest(facts)
    with pytest.raises(SearchError, match=f"a run goes on only as it began, but {message}"):
        check_same(directory, {**facts, **change})
