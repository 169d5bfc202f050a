from dataclasses import replace
from typing import Any

import pytest

from parefront.results import Run
from parefront.results.dashboard_address import Selection
from parefront.results.dashboard_markup import to_components
from parefront.results.dashboard_run import PAGE, head, read_limits, trials_table
from parefront.search.trial import Trial


def text_of(components: Any) -> str:
    """All text of components, one after the other."""
    if isinstance(components, list):
        return "".join(map(text_of, components))
    return components if isinstance(components, str) else text_of(getattr(components, "children", None) or "")


def numbers_of(run: Run, **chosen: Any) -> list[int]:
    """The trials that the table lists."""
    _, box, *_ = to_components(trials_table(run, run.trials, Selection(run="a", **chosen)))
    rows = box.children[0].children[1].children
    return [int(text_of(row.children[0]).removeprefix("#")) for row in rows]


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        ({}, [8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ({"order": "oldest", "kind": "failed"}, [3, 8]),
        ({"kind": "closed"}, [2]),
        ({"order": "latency", "kind": "front"}, [7, 6, 5, 4]),
        ({"order": "accuracy", "kind": "complete"}, [0, 4, 5, 6, 1, 7]),
        ({"order": "size"}, [8, 7, 6, 1, 5, 2, 0, 4, 3]),
    ],
)
def test_trials_are_chosen_and_ordered(run: Run, chosen: dict[str, str], numbers: list[int]) -> None:
    assert numbers_of(run, **chosen) == numbers


def test_a_long_list_has_pages(run: Run, trials: list[Trial]) -> None:
    many = (*trials, *(replace(trials[2], number=n) for n in range(9, 60)))
    long = replace(run, trials=many)
    assert numbers_of(long)[0] == 59
    assert len(numbers_of(long)) == PAGE == 25
    assert numbers_of(long, page=3) == list(range(9, -1, -1)) == numbers_of(long, page=99)
    text = text_of(to_components(trials_table(long, many, Selection(run="a", page=2))))
    assert "Trials 26 to 50 of 60. First Back Next Last" in text


def test_limits_are_those_of_the_search(run: Run) -> None:
    within = read_limits("accuracy_drop<=1pt, latency<=0.5ms", run)
    assert [trial.number for trial in within.keep(run.trials)] == [0, 4, 5, 6, 8]
    assert read_limits("", run).keep(run.trials) == run.trials
    wrong = read_limits("fast", run)
    assert "a constraint reads like" in wrong.problem
    assert wrong.keep(run.trials) == run.trials


def test_what_could_not_be_read_is_said(run: Run) -> None:
    damaged = replace(run, problems=("line 3 is half-written: skipped",))
    text = text_of(to_components(head(damaged, "a", "running")))
    assert "digits on cpu-ort-1t running" in text
    assert "10.0x faster and 16.0x smaller" in text
    assert "line 3 is half-written: skipped" in text
