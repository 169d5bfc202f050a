from typing import Any

import pytest

from parefront.results.beginning import beginning_line, storing_problem

PLAN = "4 of 60 choices known, 30 to measure in 20 s, 26 estimated (at most 20 s)"


def manifest(observations: dict[str, int], divergences: int = 0, plan: str = "", problem: str = "") -> dict[str, Any]:
    return {
        "tables": {"observations": observations, "divergences": divergences, "plan": plan, "problem": problem},
    }


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({}, ""),
        (manifest({"": 0}), ""),
        (manifest({"": 182}), "Began with 182 measured candidates of earlier searches"),
        (manifest({"": 1}), "Began with 1 measured candidate of earlier searches"),
        (
            manifest({"": 182, "board": 40}),
            "Began with 182 measured candidates and 40 candidates measured on board of earlier searches",
        ),
        (manifest({"": 0, "board": 1}), "Began with 1 candidate measured on board of earlier searches"),
        (manifest({"": 0}, 12, PLAN), f"Effect of single choices on the outputs, as planned: {PLAN}"),
        (
            manifest({"": 2}, 12, PLAN),
            "Began with 2 measured candidates of earlier searches; "
            f"effect of single choices on the outputs, as planned: {PLAN}",
        ),
    ],
)
def test_what_a_run_began_with(said: dict[str, Any], line: str) -> None:
    assert beginning_line(said) == line


def test_what_could_not_be_stored_is_a_warning() -> None:
    assert storing_problem({}) == storing_problem(manifest({"": 3})) == ""
    assert storing_problem(manifest({}, problem="/x.jsonl: no space left")) == (
        "not all measurements could be stored for later searches: /x.jsonl: no space left"
    )
