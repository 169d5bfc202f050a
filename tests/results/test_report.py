import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from parefront.evaluators.evaluator import Score
from parefront.results import Run, write_report
from parefront.search.goals import parse_goals
from parefront.search.trial import Trial

INJECTION = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text outside of scripts and styles."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = False
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


def read(path: Path) -> tuple[str, Page]:
    content = path.read_text(encoding="utf-8")
    return content, Page(content)


@pytest.fixture
def report(run: Run) -> Path:
    return write_report(run, run.directory / "report.html")


def test_the_report_says_what_was_found(run: Run, report: Path) -> None:
    _, page = read(report)
    assert run.summary in page.text
    for words in ("digits", "cpu-ort-1t", "Some CPU", "avx2, fma", "abcd", "runtime.threads", "seed", "0.1.0"):
        assert words in page.text
    assert "1 min 00 s · 60%" in page.text  # 60 of 100 seconds went into training
    assert "TrainingError: loss is nan" in page.text
    assert "ExportError: parity is 71 %" in page.text


def test_the_report_says_why(report: Path) -> None:
    _, page = read(report)
    assert "Promoted from #1, uniform int8" in page.text
    assert page.text.count("Nothing can be said: ") == 3  # of six trials nobody can tell which decisions matter


def test_each_objective_has_its_chart(run: Run, make_trial: Callable[..., Trial]) -> None:
    site = {"name": f"prune/{INJECTION}", "layers": ["x"], "choices": list(range(40, 10, -1))}
    trials = tuple(
        make_trial(i, i / 5, 2 * 0.9**i, 1e6 * 0.9**i, {site["name"]: 40 - i} if i else {}) for i in range(30)
    )
    manifest = {**run.manifest, "space": {"sites": [site]}}
    content, page = read(write_report(replace(run, manifest=manifest, trials=trials), run.directory / "report.html"))
    assert [f'id="importance-{i}"' in content for i in range(4)] == [True, True, True, False]
    assert "prune 100%. They predict 100% of how 30 trials differ." in page.text
    assert "<script>alert" not in content


def test_the_report_is_about_the_objectives_of_the_search(run: Run) -> None:
    goals = parse_goals(["accuracy", "size", "latency", "macs"], ["accuracy_drop<=3pt", "memory<=1MB"], ["cpu-ort-1t"])
    more = {"macs": Score("macs", 2e6, "MACs", False), "memory_bytes": Score("memory_bytes", 5e5, "bytes", False)}
    trials = tuple(replace(t, scores={**t.scores, **more}) if t.scores else t for t in run.trials)
    manifest = {**run.manifest, "goals": goals.to_json()}
    content, page = read(write_report(replace(run, manifest=manifest, trials=trials), run.directory / "report.html"))
    assert '<option value="size_bytes">smallest</option><option value="latency_ms">fastest</option>' in content
    for words in (
        "smallest within 3 pt",
        "MACs, M",
        "memory, MB",
        "0.50",  # MB
        "the area of a bubble is its latency",
        "Accuracy against MACs",
        "from the baseline to 5 pt lost, 64x smaller, 64x faster and 64x fewer MACs",
        "accuracy_drop<=3pt, memory<=1MB",
    ):
        assert words in page.text
    assert 'id="front-figure-2"' in content  # one more picture, for the MACs


def test_the_report_needs_no_network(report: Path) -> None:
    _, page = read(report)
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert links == ["artefacts/6.onnx"]
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "img", "object")]
    assert "url(" not in report.parent.joinpath("report.html").read_text().partition("</style>")[0]


def test_the_report_is_small(report: Path) -> None:
    assert report.stat().st_size < 2_300_000  # of which Plotly, packed, is 1.96 MB


def test_links_are_relative_to_the_page(run: Run, tmp_path: Path) -> None:
    _, page = read(write_report(run, tmp_path / "elsewhere" / "report.html"))
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == ["../run/artefacts/6.onnx"]


def test_names_cannot_inject_anything(run: Run) -> None:
    trials = [
        replace(trial, reason=INJECTION if trial.reason else "", origin=INJECTION, artefact=None)
        for trial in run.trials
    ]
    layers = [{**layer, "name": layer["name"], "kind": INJECTION} for layer in run.manifest["layers"]]
    manifest = {**run.manifest, "task": INJECTION, "layers": layers, "fingerprint": {INJECTION: INJECTION}}
    path = write_report(replace(run, manifest=manifest, trials=tuple(trials)), run.directory / "report.html")
    content, page = read(path)
    assert "<script>alert" not in content
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert len([tag for tag, _ in page.tags if tag == "script"]) == len(re.findall("<script", content))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert INJECTION in page.text


def test_a_run_that_has_just_begun_has_a_report(run: Run) -> None:
    bare = {"schema": 1, "task": "digits", "hardware": "cpu-ort-1t"}
    _, page = read(write_report(Run(run.directory, bare, ()), run.directory / "new" / "report.html"))
    assert "No trial has ended yet" in page.text
    assert "No time has been recorded yet." in page.text


def test_the_time_of_a_running_search_is_that_of_its_trials(run: Run) -> None:
    manifest = {name: value for name, value in run.manifest.items() if name != "seconds"}
    trials = (run.trials[0], replace(run.trials[1], seconds={"train": 3.0, "measure": 1.0}))
    _, page = read(write_report(Run(run.directory, manifest, trials), run.directory / "report.html"))
    assert "3.0 s · 75%" in page.text
    assert "4.0 s in all." in page.text
