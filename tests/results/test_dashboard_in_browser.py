"""The dashboard in real Chromium, served on this machine, over copies of runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from parefront.results import load
from parefront.results.dashboard import build_dashboard
from parefront.results.dashboard_server import OWN_NAMES, listen
from parefront.search.run_directory import RunDirectory
from parefront.search.sweep_directory import Event, SweepDirectory

from ..conftest import N_TRIALS, FinishedRun
from .test_run_catalogue import append_trial
from .watched_page import INJECTION, LOADING_MS, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Serve = Callable[[Path], str]
BeginSweep = Callable[[], SweepDirectory]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a folder, and gives the address; looks for news often."""
    servers = []

    def start(folder: Path) -> str:
        server = listen(build_dashboard(folder, interval_ms=300, names=OWN_NAMES), "127.0.0.1", 0)
        thread = Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def page(browser: Browser, serve: Serve) -> Iterator[Page]:
    """A fresh window, closed before the server is, or its last look for news would fail."""
    with watched_page(browser, "http://127.0.0.1:") as page:
        yield page


def click_a_point(page: Page) -> int:
    """Points at the slowest trial beside the front and clicks; the number of the trial that is shown then."""
    drawn = page.evaluate(
        "document.querySelector('#front .js-plotly-plot').data.flatMap((trace) => (trace.customdata || [])"
        ".map((_, i) => (trace.name.startsWith('dominated') ? trace.x[i] : 0)))"
    )
    page.locator("#front .points path.point").nth(drawn.index(max(drawn))).hover(force=True)
    said = page.locator("#front .hoverlayer .hovertext").first.text_content() or ""
    page.mouse.down()
    page.mouse.up()
    number = page.locator("#trial h2").inner_text().split()[0]
    assert said.startswith(number)
    return int(number.removeprefix("#"))


def test_a_run_is_followed_and_a_point_leads_to_its_file(
    page: Page, serve: Serve, finished_run: FinishedRun, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.directory.root, tmp_path / "runs" / "tiny")
    directory = RunDirectory(tmp_path / "runs" / "tiny")
    page.goto(serve(tmp_path / "runs"))
    page.get_by_role("link", name="tiny", exact=True).click()
    page.wait_for_selector("#front .points path.point", state="attached")
    page.evaluate("window.isSamePage = true")

    number = click_a_point(page)
    assert f"trial={number}" in page.url
    assert "begins" in page.locator("#layers .log").inner_text()
    with page.expect_download() as download:
        page.locator("#trial a.download").click()
    session = onnxruntime.InferenceSession(download.value.path())
    (outputs,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 1, 8, 8), np.float32)})
    assert np.isfinite(outputs).all()

    n_trials = len(directory.journal.read_text().splitlines()) - 1
    append_trial(directory, n_trials, origin="appended by hand")
    page.wait_for_selector("#trials:has-text('appended by hand')")
    assert f"of {n_trials + 1}." in page.locator("#trials").inner_text()
    assert page.evaluate("window.isSamePage")
    assert n_trials >= N_TRIALS

    page.locator("#limits").fill("size<=1B")
    page.locator("#limits").press("Enter")
    page.wait_for_selector("#within:has-text('2 of')")  # the two baselines
    assert "limits=size" in page.url
    page.go_back()
    page.wait_for_selector("#within:empty", state="attached")


def test_a_damaged_record_is_a_sentence(page: Page, serve: Serve, runs: Path) -> None:
    append_trial(RunDirectory(runs / "a"), 9, configuration='{"schema": 1, "choices": {"prune/conv1": 17}}')
    address = serve(runs)
    page.goto(f"{address}/?run=a&trial=9")
    page.wait_for_selector("#trial:has-text('the record must be as a search wrote it')")
    page.goto(f"{address}/?run=../a")
    page.wait_for_selector("#head:has-text('unknown run')")
    assert page.locator("#body").is_hidden()


def test_names_can_do_nothing(page: Page, serve: Serve, runs: Path) -> None:
    directory = RunDirectory(runs / "a")
    facts = json.loads(directory.manifest.read_text())
    facts |= {"task": INJECTION, "hardware": INJECTION, "sampler": INJECTION, "status": INJECTION}
    for layer in facts["layers"]:
        layer["kind"] = INJECTION
    facts["space"]["sites"][0]["choices"].append(INJECTION)
    directory.manifest.write_text(json.dumps(facts))
    configuration = json.dumps({"schema": 1, "choices": {"prune/conv1": INJECTION}})
    told = {"origin": INJECTION, "reason": INJECTION, "artefact": INJECTION, "configuration": configuration}
    append_trial(directory, 9, **told)
    entry = {"time": INJECTION, "level": INJECTION, "trial": 9, "message": INJECTION, "trace": INJECTION}
    directory.log.write_text(json.dumps(entry) + "\n")
    (runs / "<img src=x>").mkdir()
    (runs / "<img src=x>" / "run.json").write_text(INJECTION)
    address = serve(runs)
    page.goto(f"{address}/?compare=a&compare=%3Cimg%3E")
    page.wait_for_selector("#runs table")
    page.wait_for_selector("#comparison:has-text('unknown run')")
    assert INJECTION in page.locator("#runs").inner_text()
    page.goto(f"{address}/?run=a&trial=9&limits=%3Cimg%20src=x%3E")
    page.wait_for_selector("#layers .log")
    page.wait_for_selector("#front .points path.point", state="attached")
    for part in ("#head", "#trial", "#layers", "#trials"):
        assert INJECTION in page.locator(part).inner_text(), part
    for name in ("decisions", "layers"):
        page.locator(f"#figure-names a[href*='figure={name}']").click()
        page.wait_for_selector(f"#figure-names:not(:has(a[href*='figure={name}']))")
    assert page.locator("img").count() == 0
    assert page.title() == "parefront dashboard"


def test_a_sweep_is_followed_and_leads_to_its_searches(
    page: Page, serve: Serve, runs: Path, begin_sweep: BeginSweep
) -> None:
    shutil.copytree((directory := begin_sweep()).root, runs / "s")
    page.goto(serve(runs))
    page.click("#runs a[href='/?sweep=s']")
    page.wait_for_selector("#sweep .points path.point", state="attached")
    assert page.inner_text("#sweep h1") == "2 of 3 searches finished, 1 failed"
    SweepDirectory(runs / "s").note("c", Event.BEGAN)
    page.wait_for_selector("#sweep h1:has-text('interrupted')")
    page.click("#sweep a[href='/?run=s%2Fa']")
    page.wait_for_selector("#trials table")
    assert page.inner_text("#head h1") == load(directory.root / "a").summary
    page.go_back()
    page.wait_for_selector("#sweep .points path.point", state="attached")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_dashboard_can_be_read_by_everybody(
    browser: Browser, axe: str, serve: Serve, runs: Path, begin_sweep: BeginSweep, scheme: Any, width: int
) -> None:
    shutil.copytree(begin_sweep().root, runs / "s")
    # Without its policy, since axe is none of the page's own scripts.
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(LOADING_MS)
    address = serve(runs)
    bad = []
    shown = (("/?compare=a", "#runs table"), ("/?run=a&trial=6", "#layers .log"), ("/?sweep=s", "#sweep .points path"))
    for path, there in shown:
        page.goto(f"{address}{path}")
        page.wait_for_selector(there)
        page.wait_for_timeout(300)
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        bad += [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    context.close()
    assert bad == []
