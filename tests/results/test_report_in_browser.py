"""The report in real Chromium, as a reader has it: from a file, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from parefront.results import Run, write_report

from .watched_page import INJECTION, LOADING_MS, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched_page(browser, "file:") as page:
        yield page


def open_report(page: Page, run: Run) -> None:
    page.goto(write_report(run, run.directory / "report.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")


def shown(page: Page) -> str:
    return page.locator("#choice .headline strong").inner_text()


def test_two_limits_choose_a_member(page: Page, run: Run) -> None:
    open_report(page, run)
    assert shown(page) == "#6"  # the fastest within 1 pt, as the headline says
    assert page.locator("#choice-layers tbody tr").first.locator("td").first.inner_text() == "64→16 · int8"
    assert "parefront export" in page.locator("#choice code").inner_text()

    page.locator("#drop").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#choice strong:text('#5')")
    assert page.locator("#drop-value").inner_text() == "0.5 pt"

    page.locator("#latency").focus()
    page.keyboard.press("Home")  # as fast as the fastest, which loses 3 pt
    page.wait_for_selector("#choice:has-text('No network of the front keeps both limits.')")
    assert "the least loss is 3 pt" in page.locator("#choice").inner_text()
    page.locator("#drop").press("End")
    page.wait_for_selector("#choice strong:text('#7')")

    page.get_by_role("button", name="Show #5").press("Enter")
    assert shown(page) == "#5"
    assert page.locator("tr.chosen a, tr.chosen td").nth(1).inner_text().startswith("#5")


def test_a_point_of_the_picture_chooses(page: Page, run: Run) -> None:
    open_report(page, run)
    points = page.locator("#front-figure .points path.point")
    numbers = page.evaluate("document.getElementById('front-figure').data.flatMap((trace) => trace.customdata || [])")
    points.nth(numbers.index(7)).click(force=True)
    page.wait_for_selector("#choice strong:text('#7')")


def test_names_can_do_nothing(page: Page, run: Run) -> None:
    layers = [{**layer, "name": layer["name"], "kind": INJECTION} for layer in run.manifest["layers"]]
    sites: list[dict[str, Any]] = [*run.manifest["space"]["sites"]]
    sites[0] = {**sites[0], "choices": [64, 48, 32, INJECTION]}
    trials = [
        replace(
            trial,
            origin=INJECTION,
            reason=INJECTION,
            configuration=type(trial.configuration).of(
                {name: INJECTION if choice == 16 else choice for name, choice in trial.configuration.items()}
            ),
        )
        for trial in run.trials
    ]
    manifest = {**run.manifest, "task": INJECTION, "layers": layers, "space": {"sites": sites}, "sampler": INJECTION}
    open_report(page, replace(run, manifest=manifest, trials=tuple(trials)))
    assert INJECTION in page.locator("#choice-layers").inner_text()  # as text
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.more:not([open])").count() == 0
    assert page.locator(".plot .main-svg").count() >= page.locator(".plot").count()
    assert page.locator("img").count() == 0
    assert page.title() != "broken"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.more[open]").count() == 0


def test_a_run_that_has_just_begun_can_be_looked_at(page: Page, run: Run) -> None:
    new = Run(run.directory, {"schema": 1, "task": "digits", "hardware": "cpu-ort-1t"}, ())
    page.goto(write_report(new, run.directory / "report.html").as_uri())
    page.wait_for_selector("#front-figure .main-svg", state="attached")
    assert "nothing to choose from yet" in page.locator("#which").inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_report_can_be_read_by_everybody(browser: Browser, axe: str, run: Run, scheme: Any, width: int) -> None:
    # Without its policy, since axe is none of the page's own scripts.
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(LOADING_MS)
    open_report(page, run)
    page.locator("#open-all").click()
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    context.close()
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
