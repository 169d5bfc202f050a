from dataclasses import replace

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import Run
from parefront.results.picker_data import picker_data
from parefront.search.goals import parse_goals


def test_the_limits_span_the_front(run: Run) -> None:
    data = picker_data(run, run.directory)
    limits = {"drop": 1.0, "max_drop": 3.0, "fastest_ms": 0.1, "slowest_ms": 2.0, "reference": 94.0}
    assert data["limits"] == limits
    assert data["pick"] == 6
    assert data["costs"] == [{"score": "latency_ms", "best": "fastest"}, {"score": "size_bytes", "best": "smallest"}]
    assert [member["number"] for member in data["members"]] == [5, 6, 7]


def test_a_member_says_what_it_is_and_how_to_get_it(run: Run) -> None:
    _, member, unexported = picker_data(run, run.directory)["members"]
    assert member["title"] == "10.0x faster and 16.0x smaller at 0.8 pt of accuracy lost (validation; 0.8 pt on test)"
    assert member["values"] == {"latency_ms": 0.2, "size_bytes": 62_500, "accuracy_drop": 0.75}
    assert member["scores"][0] == {"name": "accuracy on validation", "value": "93.2 %", "interval": "[92.2, 94.2]"}
    assert member["command"] == f"parefront export {run.directory} --pick 6 --to model.onnx"
    assert (member["file"], unexported["file"]) == ("artefacts/6.onnx", None)
    assert member["layers"] == [
        {"words": "64→16 · int8", "us": None},
        {"words": "", "us": None},
        {"words": "", "us": None},
    ]


def test_what_a_person_should_know_is_noted(run: Run) -> None:
    details = {"latency_quality": "poor", "executed_int8": 1, "planned_int8": 2}
    trials = tuple(replace(t, is_verified=None, details=details) if t.number == 6 else t for t in run.trials)
    notes = picker_data(replace(run, trials=trials), run.directory)["members"][1]["notes"]
    assert notes == [
        "Not checked in its runtime yet: that is done for final members",
        "Its latency did not converge",
        "Only 1 of 2 operators planned in int8 ran so",
    ]


def test_the_slider_begins_where_something_can_be_had(run: Run) -> None:
    trials = tuple(t for t in run.trials if t.number not in (5, 6))
    limits = picker_data(replace(run, trials=trials), run.directory)["limits"]
    assert (limits["drop"], limits["max_drop"]) == (3.0, 3.0)


def test_every_objective_can_be_wished_for(run: Run) -> None:
    goals = parse_goals(["accuracy", "size", "macs"], [], ["cpu-ort-1t"])
    macs = {"macs": Score("macs", 2e6, "MACs", False)}
    trials = tuple(replace(t, scores={**t.scores, **macs}) if t.scores else t for t in run.trials)
    data = picker_data(replace(run, trials=trials, manifest={**run.manifest, "goals": goals.to_json()}), run.directory)
    assert [cost["best"] for cost in data["costs"]] == ["smallest", "fewest MACs"]
    assert not data["main_is_latency"]


@pytest.mark.parametrize("n_trials", [0, 1])
def test_without_a_front_there_is_nothing_to_pick(run: Run, n_trials: int) -> None:
    assert picker_data(replace(run, trials=run.trials[:n_trials]), run.directory) == {"members": []}
