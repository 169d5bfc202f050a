from pathlib import Path

import pytest
from dash import no_update

from parefront.results.dashboard_layout import ALL, ONE
from parefront.results.dashboard_updates import Updates
from parefront.results.run_catalogue import RunCatalogue
from parefront.search.run_directory import RunDirectory

from .test_dashboard_run import text_of
from .test_run_catalogue import append_trial


@pytest.fixture
def updates(runs: Path) -> Updates:
    return Updates(RunCatalogue(runs))


def test_a_page_changes_when_its_address_or_its_files_do(updates: Updates, runs: Path) -> None:
    first = updates.revision("?run=a", None)
    assert updates.revision("?run=a", first) is no_update
    assert updates.revision("?run=a&trial=6", first) not in (no_update, first)
    append_trial(RunDirectory(runs / "a"), 9, origin="a new one", is_verified=None)
    second = updates.revision("?run=a", first)
    assert second not in (no_update, first)
    _, is_body_hidden, *_, told = updates.one_run(second, None)
    assert not is_body_hidden
    assert "a new one" in text_of(told)


def test_a_browser_gets_the_places_of_a_page_once(updates: Updates) -> None:
    every, one = updates.revision("", None), updates.revision("?run=a", None)
    assert updates.page(every, ALL) is no_update
    assert "front" in str(updates.page(one, ALL))
    assert updates.page(one, ONE) is no_update
    assert "Reading the runs" in str(updates.page(every, ONE))


def test_what_is_on_the_other_page_is_left_alone(updates: Updates) -> None:
    every, one = updates.revision("", None), updates.revision("?run=a", None)
    assert updates.all_runs(None) is no_update
    assert updates.all_runs(one) is no_update
    assert set(updates.one_run(every, None)) == {no_update}
    assert set(updates.comparison(every)) == {no_update}


def test_pictures_come_into_the_list_of_runs_with_a_comparison_alone(updates: Updates) -> None:
    every, both = updates.revision("", None), updates.revision("?compare=a&compare=b", None)
    assert updates.comparison_place(every, []) is no_update
    (place,) = updates.comparison_place(both, [])
    assert updates.comparison_place(both, [place]) is no_update
    assert updates.comparison_place(every, [place]) == []


def test_what_cannot_be_shown_is_a_sentence(updates: Updates) -> None:
    revision = updates.revision("?run=../a", None)
    said, is_body_hidden, *_ = updates.one_run(revision, None)
    assert is_body_hidden
    assert "unknown run '../a'" in text_of(said)
    panel, layers = updates.trial(updates.revision("?run=a&trial=99", None))
    assert "got 99" in text_of(panel)
    assert layers == []
    *_, within, _ = updates.one_run(updates.revision("?run=a&limits=fast", None), None)
    assert "a constraint reads like" in within
