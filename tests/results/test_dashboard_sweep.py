import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dash import no_update

from parefront.results.dashboard_layout import ALL, SWEEP
from parefront.results.dashboard_sweep import sweep_page
from parefront.results.dashboard_updates import Updates
from parefront.results.run_catalogue import RunCatalogue
from parefront.results.sweep import Sweep
from parefront.search.sweep_directory import Event, SweepDirectory

from .test_dashboard_run import text_of


@pytest.fixture
def folder(begin_sweep: Callable[[], SweepDirectory], tmp_path: Path) -> Path:
    """With the sweep `s` in it."""
    shutil.copytree(begin_sweep().root, tmp_path / "s")
    return tmp_path


def test_a_page_has_a_picture_for_each_front_and_leads_to_the_searches(sweep: Sweep) -> None:
    page = str(sweep_page(sweep, "s"))
    assert "2 of 3 searches finished, 1 failed" in page
    assert page.count("sweep-front-") == 1
    assert "/?run=s%2Fa" in page
    assert "/?run=s%2Fc" not in page  # it never began
    assert "no luck" in page
    assert "/?run=a'" in str(sweep_page(sweep, "."))


def test_a_page_follows_its_sweep(folder: Path) -> None:
    updates = Updates(RunCatalogue(folder))
    first = updates.revision("?sweep=s", None)
    assert updates.revision("?sweep=s", first) is no_update
    assert "Reading the sweep" in str(updates.page(first, ALL))
    assert updates.page(first, SWEEP) is no_update
    assert updates.all_runs(first) is no_update
    assert "1 failed" in text_of(updates.one_sweep(first))
    SweepDirectory(folder / "s").note("c", Event.BEGAN)
    second = updates.revision("?sweep=s", first)
    assert second not in (no_update, first)
    assert "1 interrupted" in text_of(updates.one_sweep(second))


def test_the_list_leads_to_the_sweep(folder: Path) -> None:
    updates = Updates(RunCatalogue(folder))
    every = updates.revision("", None)
    assert "/?sweep=s" in str(updates.all_runs(every))
    assert updates.one_sweep(every) is no_update


@pytest.mark.parametrize("name", ["../elsewhere", "{parent}/elsewhere"])
def test_a_sweep_whose_searches_lie_elsewhere_is_not_read(folder: Path, name: str) -> None:
    outside = SweepDirectory(folder.parent)
    outside.note("elsewhere", Event.FAILED, error="a secret")
    shutil.rmtree(folder / "s" / "tune", ignore_errors=True)
    manifest = folder / "s" / "sweep.json"
    facts = json.loads(manifest.read_text())
    facts["plan"]["searches"][0]["name"] = name.format(parent=folder.parent).replace("../", "../../")
    manifest.write_text(json.dumps(facts))
    updates = Updates(RunCatalogue(folder))
    for revision, answer in (("?sweep=s", updates.one_sweep), ("", updates.all_runs)):
        said = text_of(answer(updates.revision(revision, None)))
        assert "must lie in the folder" in said
        assert "secret" not in said


def test_an_unknown_sweep_is_a_sentence(folder: Path) -> None:
    updates = Updates(RunCatalogue(folder))
    assert "unknown sweep 't'" in text_of(updates.one_sweep(updates.revision("?sweep=t", None)))


def test_a_plan_that_cannot_be_opened_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(directory: SweepDirectory) -> None:
        raise PermissionError(f"not allowed to open {directory.manifest.name}")

    updates = Updates(RunCatalogue(folder))
    revision = updates.revision("?sweep=s", None)
    monkeypatch.setattr(SweepDirectory, "driver", refuse)
    assert "not allowed to open sweep.json" in text_of(updates.one_sweep(revision))
    assert "not allowed" in updates.revision("?sweep=s", None)
