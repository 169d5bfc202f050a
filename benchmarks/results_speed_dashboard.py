"""How soon the dashboard shows 50 runs, and how soon a trial that was added to 10,000, in a real Chromium.

First paint: from the beginning of the navigation until the list of all runs is painted, by a server that has just been
started and has read none of them. Update: from the moment at which the page asks for news until the new trial is
painted in the table and in the picture of the front; pages ask every two seconds, which is not part of it. Wall time,
so the machine must be quiet; the medians of the rounds are reported.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.synthetic_run import write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

N_RUNS, N_TRIALS_EACH, N_TRIALS = 50, 200, 10_000
MOST_PAINT_S, MOST_UPDATE_MS = 2.0, 300
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 120_000
_PAINTED = """new MutationObserver((_, observer) => {
  if (document.querySelectorAll("#runs tbody tr").length < %d) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (document.documentElement.dataset.painted = performance.now())));
}).observe(document, {childList: true, subtree: true});"""
_UPDATED = """(words) => new Promise((resolve) => {
  const began = performance.now(), table = document.getElementById("trials");
  const picture = document.querySelector("#front .js-plotly-plot");
  let isDrawn = false, isListed = false;
  const done = () => {
    if (!isDrawn || !isListed) return;
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  };
  picture.once("plotly_afterplot", () => { isDrawn = true; done(); });
  new MutationObserver((_, observer) => {
    if (!table.innerText.includes(words)) return;
    observer.disconnect();
    isListed = true;
    done();
  }).observe(table, {childList: true, subtree: true, characterData: true});
  dash_clientside.set_props("tick", {n_intervals: Math.round(began)});
})"""


def dashboard_figures(rounds: int, n_runs: int = N_RUNS, n_trials: int = N_TRIALS) -> dict[str, object]:
    """Both times over synthetic runs, with the limits they have to keep."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        sys.exit("error: the dashboard is timed in Chromium, which is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="parefront-results-speed-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        many, large = Path(folder) / "many", Path(folder) / "large"
        for i in range(n_runs):
            write_run(many / f"run-{i:02d}", N_TRIALS_EACH, seed=i)
        paints = [_first_paint(browser, many, n_runs) for _ in range(rounds)]
        journal = write_run(large / "run", n_trials).journal
        updates = _updates(browser, large, journal, n_trials, rounds)
        browser.close()
    return {
        "dashboard_first_paint_s": round(statistics.median(paints), 3),
        "dashboard_first_paint_most_s": MOST_PAINT_S,
        "dashboard_first_paint_rounds_s": [round(each, 3) for each in paints],
        "dashboard_update_ms": round(statistics.median(updates)),
        "dashboard_update_most_ms": MOST_UPDATE_MS,
        "dashboard_update_rounds_ms": [round(each) for each in updates],
    }


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The dashboard in a process of its own, as a user has it; its address."""
    command = [str(Path(sys.executable).with_name("parefront")), "dashboard", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[1]
        finally:
            server.terminate()


def _first_paint(browser: Browser, folder: Path, n_runs: int) -> float:
    with _served(folder) as address:
        page = _open(browser)
        page.add_init_script(_PAINTED % n_runs)
        page.goto(address, wait_until="commit")
        page.wait_for_selector("html[data-painted]", state="attached", timeout=WAIT_MS)
        seconds = float(page.evaluate("document.documentElement.dataset.painted")) / 1000
        page.context.close()
    return seconds


def _updates(browser: Browser, folder: Path, journal: Path, n_trials: int, rounds: int) -> list[float]:
    """Milliseconds of each round; a trial more in each."""
    line = json.loads(journal.read_text(encoding="utf-8").splitlines()[-1])
    times = []
    with _served(folder) as address:
        page = _open(browser)
        page.goto(f"{address}?run=run")
        page.wait_for_selector("#further .points path.point", state="attached", timeout=WAIT_MS)
        page.evaluate("dash_clientside.set_props('tick', {interval: 1e9})")  # from here on only this program asks
        for number in range(n_trials, n_trials + rounds + 1):
            page.wait_for_timeout(3000)  # so that nothing of the round before is still going on
            _append(journal, line, number)
            times.append(float(page.evaluate(_UPDATED, f"of {number + 1:,}.")))
        page.context.close()
    return times[1:]  # the first one also warms up


def _append(journal: Path, line: dict[str, object], number: int) -> None:
    """One trial more, a little slower than the one before, so that it is beside the front."""
    attributes = line["user_attrs"]
    assert isinstance(attributes, dict)
    for trial in attributes.values():
        trial["number"] = number
        trial["scores"]["latency_ms"]["value"] *= 1.02
        trial["scores"]["accuracy"]["value"] -= 0.1
    with journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _open(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
