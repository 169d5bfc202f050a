"""How tasks, hardware, seeds and settings become searches."""

from dataclasses import replace
from pathlib import Path

import pytest

from parefront.hardware_profiles import SearchError
from parefront.search.sweep_plan import SweepAxes, SweepPlan, expand

OUT = Path("/somewhere/sweep")
AXES = SweepAxes(
    tasks={"digits": "digits", "mine": "tasks/my task.py"},
    hardware={"a": ("a",), "a+b": ("a", "b.yaml")},
    seeds=(3, 5),
    settings={"plain": {}, "short run": {"trials": "7"}},
    common={"trials": "60", "constraint": ["size<=2MB"]},
)


def test_every_combination_is_one_search_and_seeds_come_last() -> None:
    searches = expand(AXES, OUT)
    assert len(searches) == 2 * 2 * 2 * 2
    assert len({each.name for each in searches}) == 16
    assert [each.seed for each in searches] == [3] * 8 + [5] * 8
    assert [each.name for each in searches[:3]] == ["digits.a.plain.s3", "digits.a.short-run.s3", "digits.a+b.plain.s3"]


def test_a_search_is_told_all_flags_and_a_setting_wins() -> None:
    last = expand(AXES, OUT)[-1]
    assert last.flags == {
        "task": "tasks/my task.py",
        "hardware": ["a", "b.yaml"],
        "seed": "5",
        "out": "/somewhere/sweep/mine.a+b.short-run.s5",
        "trials": "7",
        "constraint": ["size<=2MB"],
    }


def test_two_searches_may_not_share_a_directory() -> None:
    settings = {"a b": {}, "a-b": {}}
    with pytest.raises(
        SearchError, match=r"must have a name of its own, but two are called digits\.a\.a-b\.s3: rename"
    ):
        expand(replace(AXES, settings=settings), OUT)


def test_a_plan_survives_json() -> None:
    searches = tuple(replace(each, devices=("a",), n_gpus=0.5) for each in expand(AXES, OUT))
    plan = SweepPlan(searches, concurrency=2, retries=0, directory=Path("/work"), version="1.2")
    assert SweepPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(("name", "value"), [("concurrency", 0), ("retries", -1)])
def test_numbers_of_a_plan_have_limits(name: str, value: int) -> None:
    plan = SweepPlan((), concurrency=1, retries=0, directory=Path("/work"), version="1.2")
    with pytest.raises(SearchError, match=f"{name} of a sweep must be [01] or more, got {value}"):
        replace(plan, **{name: value})
