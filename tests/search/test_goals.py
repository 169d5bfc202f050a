import json

import pytest

from parefront.evaluators.evaluator import Score
from parefront.hardware_profiles import SearchError
from parefront.search.constraints import Constraint
from parefront.search.goals import DEFAULT_GOALS, WON_BACK, Goals, parse_goals
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration

PROFILES = ["cpu", "board"]


def trial(fidelity: Fidelity, drop: float, latency_ms: float) -> Trial:
    scores = {
        "accuracy_drop": Score("accuracy_drop", drop, "pt", False),
        "latency_ms": Score("latency_ms", latency_ms, "ms", False),
    }
    return Trial(1, Configuration(), fidelity, State.COMPLETE, scores)


def test_nothing_said_means_accuracy_latency_and_size_without_limits() -> None:
    assert parse_goals([], [], PROFILES) == DEFAULT_GOALS
    assert DEFAULT_GOALS.objectives.names == ("accuracy", "latency", "size")
    assert DEFAULT_GOALS.max_drop is None
    assert DEFAULT_GOALS.text == "accuracy, latency, size"


def test_names_and_limits_may_stand_alone_or_together() -> None:
    goals = parse_goals(["accuracy, latency@board", "macs"], ["drop<=1pt, size<=2MB", "latency<=5ms"], PROFILES)
    assert goals.objectives.names == ("accuracy", "latency@board", "macs")
    assert goals.constraints == (Constraint("accuracy", 1.0), Constraint("size", 2e6), Constraint("latency", 5.0))
    assert goals.scores == ("accuracy_drop", "latency_ms@board", "macs", "size_bytes", "latency_ms")
    assert goals.text == "accuracy, latency@board, macs within accuracy_drop<=1pt, size<=2MB, latency<=5ms"


def test_of_two_limits_on_the_same_the_tighter_one_holds() -> None:
    goals = parse_goals([], ["latency<=5ms", "latency<=3ms", "latency@cpu<=4ms"], PROFILES)
    assert goals.constraints == (Constraint("latency", 3.0),)


def test_what_is_not_understood_is_refused() -> None:
    with pytest.raises(SearchError, match="unknown objective 'sped'"):
        parse_goals(["accuracy,sped"], [], PROFILES)
    with pytest.raises(SearchError, match="unknown objective ''"):
        parse_goals(["accuracy,"], [], PROFILES)
    with pytest.raises(SearchError, match="a constraint reads like"):
        parse_goals([], ["size"], PROFILES)


def test_they_come_back_from_json() -> None:
    goals = parse_goals(["accuracy", "latency", "latency@board"], ["drop<=0.3%", "energy@board<=3mJ"], PROFILES)
    assert Goals.from_json(json.loads(json.dumps(goals.to_json()))) == goals


def test_limits_by_fidelity() -> None:
    """Without training only the structure counts; after a little, what the rest of it will win back is allowed for."""
    goals = parse_goals([], ["accuracy_drop<=1pt", "latency<=5ms"], PROFILES)
    fast, slow = Constraint("latency", 5.0), 5.1
    assert goals.limits_at(Fidelity.CALIBRATED) == (fast,)
    assert goals.limits_at(Fidelity.SHORT) == (fast, Constraint("accuracy", 1.0 / (1 - WON_BACK)))
    assert goals.limits_at(Fidelity.FULL) == (Constraint("accuracy", 1.0), fast)
    allowed = [goals.allow(trial(fidelity, drop, 5.0)) for fidelity in Fidelity for drop in (1.0, 2.4, 2.6)]
    assert allowed == [True, True, True, True, True, False, True, False, False]
    assert not any(goals.allow(trial(fidelity, 0.0, slow)) for fidelity in Fidelity)
    kept = [trial(Fidelity.CALIBRATED, 50.0, 5.0), trial(Fidelity.SHORT, 2.0, 5.0)]
    assert goals.allowed([*kept, trial(Fidelity.FULL, 2.0, 5.0)]) == kept


def test_the_first_broken_limit_is_said() -> None:
    goals = parse_goals([], ["accuracy_drop<=1pt", "latency<=5ms", "size<=1kB"], PROFILES)
    assert goals.broken_by({"latency_ms": 5.5, "size_bytes": 2000}) == "latency_ms is 5.5, the limit is latency<=5ms"
    assert goals.broken_by({"latency_ms": 5.0, "size_bytes": 1000.0}) == ""
    assert goals.broken_by({}) == ""


def test_what_was_not_measured_is_named_once() -> None:
    goals = parse_goals(["accuracy", "latency", "energy"], ["energy<=3mJ", "memory<=1MB", "drop<=1"], PROFILES)
    assert goals.missing_from({"latency_ms"}) == ("energy_mj", "memory_bytes")
    assert DEFAULT_GOALS.missing_from({"latency_ms", "size_bytes"}) == ()
