from pathlib import Path

import pytest
from dash import no_update

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
    is_hidden, *_, told = updates.one_run(second, None)
    assert not is_hidden
    assert "a new one" in text_of(told)


def test_one_page_at_a_time_is_shown(updates: Updates) -> None:
    every, one = updates.revision("", None), updates.revision("?run=a", None)
    assert updates.all_runs(every)[0] is False
    assert updates.one_run(every, None)[0] is True
    assert updates.all_runs(one) == (True, no_update)
    assert updates.comparison(every)[0] is True


def test_what_cannot_be_shown_is_a_sentence(updates: Updates) -> None:
    revision = updates.revision("?run=../a", None)
    is_hidden, said, is_body_hidden, *_ = updates.one_run(revision, None)
    assert (is_hidden, is_body_hidden) == (False, True)
    assert "unknown run '../a'" in text_of(said)
    panel, layers = updates.trial(updates.revision("?run=a&trial=99", None))
    assert "got 99" in text_of(panel)
    assert layers == []
    *_, within, _ = updates.one_run(updates.revision("?run=a&limits=fast", None), None)
    assert "a constraint reads like" in within
