"""How large the report of a run of 1,000 trials is, and how soon a reader can use it, in a real Chromium.

A page counts as interactive once its picture is painted and a slider that is moved has changed the choice. Wall time
from the beginning of the navigation, so the machine must be quiet; the median of the loads is reported, each in a
browser context of its own, so that nothing is cached.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.synthetic_run import write_run
from parefront.results import load, write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N_TRIALS = 1000
MOST_MB, MOST_S = 6.0, 2.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 120_000
# Moves the slider to its end and gives the time at which the choice has changed and been painted.
_ANSWERED_AT = """() => new Promise((resolve) => {
  const choice = document.getElementById("choice"), slider = document.getElementById("drop");
  const painted = () => requestAnimationFrame(() => resolve(performance.now()));
  new MutationObserver(painted).observe(choice, {childList: true});
  slider.value = slider.max;
  slider.dispatchEvent(new Event("input"));
})"""


def report_figures(rounds: int, n_trials: int = N_TRIALS) -> dict[str, object]:
    """Size and time of the report of a synthetic run, with the limits they have to keep."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        sys.exit("error: the report is timed in Chromium, which is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="parefront-results-speed-") as folder:
        run = load(write_run(Path(folder) / "run", n_trials).root)
        page = write_report(run, Path(folder) / "report.html")
        megabytes = page.stat().st_size / 1e6
        drawn, answered = _loads(page, executable, rounds)
    return {
        "report_mb": round(megabytes, 2),
        "report_most_mb": MOST_MB,
        "report_interactive_s": round(statistics.median(answered), 3),
        "report_most_s": MOST_S,
        "report_rounds_s": [round(each, 3) for each in answered],
        "report_drawn_s": round(statistics.median(drawn), 3),
    }


def _loads(page: Path, executable: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds until the picture was painted, and until a slider had been answered, of each load."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        _load(browser, page)  # the first one also starts the browser's own processes
        times = [_load(browser, page) for _ in range(rounds)]
        browser.close()
    return [drawn for drawn, _ in times], [answered for _, answered in times]


def _load(browser: Browser, page: Path) -> tuple[float, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(page.as_uri(), wait_until="commit")
    tab.wait_for_selector("html[data-ready]", state="attached", timeout=WAIT_MS)
    drawn_ms = float(tab.evaluate("Number(document.documentElement.dataset.ready)"))
    # Asked for when this program has heard of the drawing, not at that moment: the way to it is not the page's time.
    asked_ms = float(tab.evaluate("performance.now()"))
    answered_ms = float(tab.evaluate(_ANSWERED_AT))
    context.close()
    return drawn_ms / 1000, (drawn_ms + answered_ms - asked_ms) / 1000
