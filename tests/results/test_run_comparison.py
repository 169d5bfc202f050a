from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import ResultsError, Run
from parefront.results.run_comparison import compare
from parefront.search.front import front_hypervolume
from parefront.search.goals import parse_goals
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration

MANIFEST = {
    "version": "1",
    "task": "digits",
    "task_key": "t",
    "hardware": "cpu",
    "profile_key": "p",
    "fingerprint_key": "f",
}


def trial(number: int, drop: float, ms: float, kb: float, fidelity: Fidelity, reference: float = 90.0) -> Trial:
    scores = (
        Score("accuracy", reference - drop, "%", True),
        Score("accuracy_drop", drop, "pt", False, drop - 0.5, drop + 0.5),
        Score("latency_ms", ms, "ms", False, 0.999 * ms, 1.001 * ms),
        Score("size_bytes", 1000 * kb, "bytes", False),
    )
    choices = Configuration.of({"prune/x": number} if number > 1 else {})
    return Trial(number, choices, fidelity, State.COMPLETE, {score.name: score for score in scores})


def a_run(
    name: str, *candidates: tuple[float, float, float], baseline_ms: float = 2.0, reference: float = 90.0, **facts: Any
) -> Run:
    """A run of final members given as (drop in points, ms, kB), whose baseline takes 1000 kB."""
    baselines = [
        trial(0, 0.0, baseline_ms, 1000, Fidelity.SHORT, reference),
        trial(1, 0.0, baseline_ms, 1000, Fidelity.FULL, reference),
    ]
    finals = [trial(i, *candidate, Fidelity.FULL, reference) for i, candidate in enumerate(candidates, start=2)]
    return Run(Path(name), {**MANIFEST, **facts}, (*baselines, *finals))


def members(*runs: Run) -> list[tuple[int, int]]:
    return [(member.run, member.trial.number) for member in compare(runs).members]


def test_the_front_of_all_says_whose_each_member_is() -> None:
    a = a_run("a", (0.5, 1.0, 500), (2.0, 0.5, 250))
    # Better than a's first in all; a's second is out of b's reach.
    b = a_run("b", (0.25, 0.9, 400), (2.5, 0.6, 300))
    assert members(a, b) == [(1, 2), (0, 3)]
    found = compare([a, b])
    assert found.fidelity is Fidelity.FULL
    assert found.obstacles == ()
    assert found.cautions == ()
    assert [member.speedup for member in found.members] == [pytest.approx(2 / 0.9), 4.0]
    assert [member.size_ratio for member in found.members] == [2.5, 4.0]
    assert found.n_members == (2, 2)


def test_hypervolumes_are_of_one_box() -> None:
    a, b = a_run("a", (0.5, 1.0, 500)), a_run("b", (2.0, 0.5, 250))
    found = compare([a, b])
    assert found.hypervolumes == pytest.approx([front_hypervolume(run.trials, Fidelity.FULL) for run in (a, b)])
    # Boxes up to the baseline: 0.9 by 1/6 by 1/6 (halved once, of 64 = 2 to the 6), and 0.6 by 2/6 by 2/6; their
    # overlap is 0.6 by 1/6 by 1/6.
    assert found.hypervolumes == pytest.approx((0.9 / 36, 0.6 / 9))
    assert found.together == pytest.approx(0.9 / 36 + 0.6 / 9 - 0.6 / 36)


def test_the_machine_s_drift_between_the_runs_does_not_count() -> None:
    """The same two networks again, a tenth slower as is the baseline: neither run is any better."""
    a = a_run("a", (0.5, 1.0, 500))
    b = a_run("b", (0.5, 1.1, 500), baseline_ms=2.2)
    found = compare([a, b])
    assert found.hypervolumes[0] == pytest.approx(found.hypervolumes[1])
    assert len(found.members) == 1
    # What is shown is what was measured.
    assert compare([b, a]).members[0].trial.value("latency_ms") in (1.0, 1.1)


def test_a_run_with_a_worse_baseline_is_not_flattered() -> None:
    """Half a point lost against a reference that is itself a point below the other run's."""
    a = a_run("a", (1.0, 1.0, 500))
    b = a_run("b", (0.5, 1.0, 500), reference=89.0)
    found = compare([b, a])
    assert [(member.run, member.accuracy_drop) for member in found.members] == [(1, 1.0)]
    assert found.members[0].trial.value("accuracy") == 89.0


@pytest.mark.parametrize(
    ("facts", "obstacle"),
    [
        (
            {"task_key": "u", "task": "cifar"},
            "the network, data or recipes of the task differs (digits, cifar): scores",
        ),
        ({"task_key": "u"}, "the network, data or recipes of the task differs: scores"),
        ({"profile_key": "q", "hardware": "board"}, "the hardware profile differs (cpu, board): latencies"),
        ({"fingerprint_key": "g"}, "the machine differs (f, g): latencies"),
    ],
)
def test_what_does_not_compare_has_no_front_of_all(facts: dict[str, str], obstacle: str) -> None:
    a, b = a_run("a", (0.5, 1.0, 500)), a_run("b", (0.25, 0.9, 400), **facts)
    found = compare([a, b])
    assert found.obstacles == (f"{obstacle} compare only as multiples of each run's own baseline",)
    assert (found.members, found.hypervolumes, found.together) == ((), (), None)
    assert found.to_json()["is_comparable"] is False
    assert found.to_json()["runs"][1]["summary"] == b.summary


def test_it_is_said_in_what_the_machines_differ() -> None:
    machines = [{"n_cores": 1, "python": "3.11"}, {"n_cores": 2, "python": "3.11"}]
    runs = [a_run(f"{i}", (0.5, 1.0, 500), fingerprint_key=f"{i}", fingerprint=each) for i, each in enumerate(machines)]
    (obstacle,) = compare(runs).obstacles
    assert obstacle.startswith("the machine differs (n_cores 1, 2): latencies compare only")


def test_what_has_had_less_training_is_compared_at_that() -> None:
    a = a_run("a", (0.5, 1.0, 500))
    short = trial(3, 1.5, 0.8, 400, Fidelity.SHORT)
    a = replace(a, trials=(*a.trials, short))
    b = replace(a_run("b"), trials=(*a_run("b").trials, trial(2, 1.0, 0.9, 450, Fidelity.SHORT)))
    found = compare([a, b])
    assert found.fidelity is Fidelity.SHORT
    assert found.cautions == ("not all runs have final members: compared after the short fine-tune",)
    assert {member.trial.number for member in found.members} == {2, 3}


def test_other_goals_and_versions_are_said() -> None:
    goals = parse_goals(["accuracy,latency"], ["accuracy_drop<=1pt"], ["cpu"])
    a = a_run("a", (0.5, 1.0, 500), goals=goals.to_json())
    b = a_run("b", (2.0, 0.5, 250), version="2")
    assert compare([a, b]).cautions == (
        "written by different versions of parefront: 1, 2",
        "the runs had different goals: compared by accuracy, latency, size, without limits",
    )
    assert members(a, b) == [(0, 2), (1, 2)]
    # Where all have the same limit, it holds for the front of all.
    both = [a, replace(b, manifest={**b.manifest, "goals": goals.to_json()})]
    assert members(*both) == [(0, 2)]


def test_a_run_that_has_found_nothing_yet_is_an_obstacle() -> None:
    a, empty = a_run("a", (0.5, 1.0, 500)), replace(a_run("b"), trials=())
    assert compare([a, empty]).obstacles == ("b has no baseline yet",)
    assert compare([a, a_run("b")]).obstacles == ("no two networks had the same training: let the runs go on",)


def test_one_run_is_none_to_compare() -> None:
    with pytest.raises(ResultsError, match="a comparison must have at least 2 runs, got 1: name another"):
        compare([a_run("a")])
