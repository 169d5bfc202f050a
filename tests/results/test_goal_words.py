import pytest

from parefront.evaluators.evaluator import Score
from parefront.results.goal_words import (
    cost_words,
    enumerated,
    further_columns,
    headline_drop,
    pick_words,
    scaled,
    word_box,
    word_gain,
)
from parefront.search.goals import DEFAULT_GOALS, Goals, parse_goals
from parefront.search.objectives import QUANTITIES, Objective


def goals(*objectives: str, limits: tuple[str, ...] = ()) -> Goals:
    return parse_goals(objectives, limits, ["cpu", "board"])


def test_every_cost_has_its_words() -> None:
    for name, quantity in QUANTITIES.items():
        if quantity.is_structural:
            assert cost_words(Objective(name)).noun


@pytest.mark.parametrize(
    ("name", "ratio", "words"),
    [
        ("latency", 3.14, "3.1x faster"),
        ("latency@board", 0.5, "2.0x slower on board"),
        ("size", 1.0, "1.0x smaller"),
        ("macs", 8.0, "8.0x fewer MACs"),
        ("memory", 2.0, "2.0x less memory"),
        ("energy@board", 4.0, "4.0x less energy on board"),
    ],
)
def test_a_gain_in_words(name: str, ratio: float, words: str) -> None:
    assert word_gain(Objective(name), ratio) == words


def test_the_headline_s_network_in_words() -> None:
    assert pick_words(DEFAULT_GOALS) == "fastest within 1 pt"
    assert pick_words(goals("energy@board", "accuracy", limits=("drop<=0.5",))) == "least energy on board within 0.5 pt"
    assert headline_drop(goals(limits=("drop<=0",))) == 0.0


def test_the_box_in_words() -> None:
    assert word_box(DEFAULT_GOALS.objectives, 64.0) == "5 pt lost, 64x faster and 64x smaller"
    assert word_box(goals("latency", "size").objectives, 64.0) == "64x faster and 64x smaller"


def test_the_columns_that_not_every_run_has() -> None:
    asked = goals("accuracy", "macs", "latency@board", limits=("memory<=1MB", "size<=1MB", "latency@board<=3ms"))
    assert [axis.name for axis in further_columns(asked)] == ["macs", "latency@board", "memory"]
    assert further_columns(DEFAULT_GOALS) == []


def test_a_score_in_the_unit_of_its_column() -> None:
    found = scaled(Score("memory_bytes", 2e6, "bytes", False, 1e6, 4e6), Objective("memory"))
    assert (found.value, found.low, found.high) == (2.0, 1.0, 4.0)
    assert scaled(Score("macs", 3e6, "MACs", False), Objective("macs")).value == 3.0


def test_parts_of_a_sentence() -> None:
    assert [enumerated(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
