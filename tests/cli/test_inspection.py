"""What `inspect` finds and how it words it."""

import dataclasses

import pytest
import torch

from parefront.cli.inspection import Inspection, group_left_alone, group_sites, inspect_task, log10_configurations
from parefront.cli.inspection_tables import (
    site_rows,
    word_answer,
    word_choices,
    word_legend,
    word_names,
    word_power,
)
from parefront.evaluators.estimate import Answer, Targets
from parefront.hardware_profiles import HardwareProfile
from parefront.spaces import LeftAlone, SearchSpace, Site
from parefront.tasks import Task, TaskData


def no_progress(what: str, step: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def inspection(tiny_task: Task, fast_profile: HardwareProfile) -> Inspection:
    return inspect_task(tiny_task, fast_profile, Targets(min_speedup=1e6, max_size_bytes=1e9), no_progress)


def test_targets_are_answered(inspection: Inspection) -> None:
    assert [(each.target, each.can_be_met) for each in inspection.answers] == [
        ("min_speedup", False),
        ("max_size_bytes", True),
    ]
    assert [each.name for each in inspection.estimates][:3] == ["neutral", "middle", "smallest"]


def test_the_record_is_plain_data(inspection: Inspection) -> None:
    record = inspection.to_json()
    assert record["macs"] == 64 * (16 * 9 + 2 * 16 * 16 * 9) + 256 * 32 + 32 * 4
    assert {"name": "prune/hidden", "layers": ["hidden"], "choices": [32, 24, 16, 8]} in record["sites"]
    assert all(set(item) == {"technique", "name", "reason"} for item in record["left_alone"])
    assert record["estimates"][0]["choices"] == {}
    assert record["targets"][0]["limit"] == 1e6


def test_data_are_not_read_where_the_task_has_examples(tiny_task: Task, fast_profile: HardwareProfile) -> None:
    def fail() -> TaskData:
        raise AssertionError("the data were read")

    task = dataclasses.replace(tiny_task, load_data=fail, example_inputs=lambda: torch.zeros(4, 1, 8, 8))
    found = inspect_task(task, fast_profile, Targets(), no_progress)
    assert not found.is_trained
    assert not found.estimates[0].reason


def test_a_machine_too_small_for_the_profile_still_lists_the_sites(
    tiny_task: Task, fast_profile: HardwareProfile
) -> None:
    runtime = fast_profile.runtime.model_copy(update={"threads": 4096})
    found = inspect_task(tiny_task, fast_profile.model_copy(update={"runtime": runtime}), Targets(), no_progress)
    assert found.estimates == ()
    assert "must not use more threads than" in found.not_estimated
    assert found.space.sites


def test_the_number_of_combinations_may_be_astronomic() -> None:
    sites = tuple(Site(f"bits/{i}", (str(i),), (32, 8)) for i in range(4_000))
    # log10 of 2^4000 is 4000 * 0.30103, far beyond the largest float.
    assert log10_configurations(SearchSpace(sites, (), {})) == pytest.approx(1204.12, abs=0.01)
    assert word_power(1204.12) == "1.3e+1204"
    assert word_power(21.8451) == "7.0e+21"
    assert word_power(5.9999) == "1.0e+06"
    assert word_power(0.0) == "1.0e+00"


def test_sites_that_offer_the_same_are_one_group() -> None:
    a, b, c = (Site(f"bits/{name}", (name,), (32, 8)) for name in "abc")
    d = Site("prune/d", ("d",), (32, 8))
    other = Site("bits/e", ("e",), (32, 8, 4))
    assert group_sites([a, b, other, c, d]) == [
        ("bits", (32, 8), [a, b, c]),
        ("bits", (32, 8, 4), [other]),
        ("prune", (32, 8), [d]),
    ]


def test_sites_that_look_the_same_are_one_row() -> None:
    # They differ in a choice that is left out.
    a = Site("rank/a", ("a",), ("full", *(f"svd:{rank}" for rank in (80, 72, 64, 48, 40, 32, 24, 16))))
    b = Site("rank/b", ("b",), ("full", *(f"svd:{rank}" for rank in (80, 72, 64, 56, 40, 32, 24, 16))))
    prune = Site("prune/c", ("c", "d"), (16, 8))
    assert site_rows([a, b, prune]) == [
        ("rank", "full svd:80 svd:72 svd:64 … svd:24 svd:16 (9)", "a, b"),
        ("prune", "16 8", "c (+1)"),
    ]


def test_only_the_short_forms_in_the_table_are_explained() -> None:
    assert word_legend([Site("bits/a", ("a",), (32, 8))]) == ""
    sites = [Site("fold/a", ("a", "b"), ("off", "on")), Site("rank/c", ("c",), ("full", "tucker:8x8", "svd:8"))]
    assert word_legend(sites) == (
        "on: the next activation goes, on:2: the next two · svd:R, tucker:R: factors of rank R · "
        "(+2): with two more layers"
    )


def test_what_is_left_alone_for_the_same_reason_is_one_group() -> None:
    items = [LeftAlone("fold", "a", "x"), LeftAlone("rank", "b", "x"), LeftAlone("fold", "c", "x")]
    assert group_left_alone(items) == [("fold", "x", ["a", "c"]), ("rank", "x", ["b"])]


def test_long_lists_are_cut() -> None:
    assert word_names(list("abcde")) == "a, b, c, d, e"
    assert word_names(list("abcdef")) == "a, b, c, d and 2 more"
    assert word_names(list("abcdef"), shows_all=True) == "a, b, c, d, e, f"
    assert word_choices([32, 8]) == "32 8"
    assert word_choices(range(9, 0, -1)) == "9 8 7 6 … 2 1 (9)"
    assert word_choices(range(9, 0, -1), shows_all=True) == "9 8 7 6 5 4 3 2 1"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer("max_latency_ms", 1.0, True, 0.4123, "smallest"),
            "at most 1 ms: can be met (smallest: 0.412 ms)",
        ),
        (
            Answer("min_speedup", 40.0, False, 29.14, "smallest"),
            "at least 40.0x faster: cannot be met (the best, smallest: 29.1x faster)",
        ),
        (
            Answer("max_size_bytes", 200_000, False, 240_500, "middle"),
            "at most 200.0 kB: cannot be met (the best, middle: 240.5 kB)",
        ),
    ],
)
def test_an_answer_says_what_is_reached(answer: Answer, words: str) -> None:
    assert word_answer(answer) == words
