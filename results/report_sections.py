"""The sections of the report that are text and tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..evaluators.evaluator import Score
from ..search.goals import Goals
from ..search.objectives import Objective
from ..search.trial import State
from .decisions import describe
from .front_data import FrontData
from .goal_words import cost_words, further_columns, pick_words, profile_of, scaled
from .load import Run
from .markup import Html, as_html, bars, definitions, element, join, link, table
from .summary import FrontRow, front_rows
from .wording import word_bytes, word_ratio, word_score, word_seconds

FRONT_HEAD = ("trial", "accuracy, %", "lost, pt", "latency, ms", "faster", "size", "smaller")
FINAL_HEAD = ("test, %", "lost on test, pt", "int8 run", "verified")
_STAGES = ("export", "measure", "train", "evaluate", "baseline", "overhead")
TIME_CAPTION = (
    "By what became of the trials; in brackets how many they are. Trials side by side add up to more than passed."
)
_VERIFIED = {True: "yes", False: "failed", None: "not yet"}


def front_table(run: Run, page_directory: Path) -> Html:
    """The members of the front, with links to their files and buttons that show them.

    Args:
        run: The run.
        page_directory: Where the page will lie; links are relative to it.
    """
    by_number = {trial.number: trial for trial in run.trials}
    rows = []
    axes = further_columns(run.goals)
    for row in front_rows(run.findings):
        path = run.artefact(by_number[row.number])
        rows.append(_front_cells(row, _relative(path, page_directory) if path else None, run.goals))
    head = (
        "show",
        *FRONT_HEAD,
        *(f"{cost_words(axis).noun}{profile_of(axis)}, {cost_words(axis).unit}" for axis in axes),
    )
    if not rows:
        return element("p", "The baseline has not been evaluated yet.", "note")
    return table((*head, *FINAL_HEAD), rows, "numbers picks")


def front_label(data: FrontData) -> Html:
    """What the picture of the front is, for those who cannot see it."""
    return as_html(f"Accuracy against {cost_words(data.axis).noun}{profile_of(data.axis)}")


def front_caption(data: FrontData) -> Html:
    """How to read the picture of the front."""
    cost, area = cost_words(data.axis).noun, data.area
    bubbles = "" if area is None else f"; the area of a bubble is its {cost_words(area).noun}{profile_of(area)}"
    others = "" if area is None else "; a member off the line is in the front for another objective"
    return as_html(
        f"Up and to the left is better{bubbles}. The line joins the most accurate networks at each {cost}{others}. "
        "Bars are 95 % intervals. What lies far below the front is out of view: double-click to see all."
    )


def failed_table(run: Run) -> Html:
    """The trials that failed, each with its reason."""
    failed = run.findings.failed
    if not failed:
        return element("p", "No trial failed.", "note")
    rows = [(f"#{t.number}", t.origin, t.reason or "unknown", "; ".join(describe(t.configuration))) for t in failed]
    return table(("trial", "proposed as", "reason", "decisions"), rows, "words")


def time_bars(run: Run) -> Html:
    """Wall time by stage, of the whole run; from the trials alone while the run is going on."""
    seconds = dict(run.manifest.get("seconds") or {})
    if not seconds:
        for trial in run.trials:
            for stage, spent in trial.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + spent
    total = seconds.pop("total", None) or sum(seconds.values())
    if total <= 0:
        return element("p", "No time has been recorded yet.", "note")
    stages = [*(name for name in _STAGES if name in seconds), *sorted(seconds.keys() - set(_STAGES))]
    parts = {name: seconds[name] / total for name in stages}
    shares = {name: (part, f"{word_seconds(seconds[name])} · {part:.0%}") for name, part in parts.items()}
    return join([bars(shares), element("p", f"{word_seconds(total)} in all.", "note")])


def facts(run: Run) -> Html:
    """The line of facts below the headline."""
    states = [trial.state for trial in run.trials]
    n_complete = sum(
        t.state is State.COMPLETE and t.is_verified is not False and t.number not in run.findings.superseded
        for t in run.trials
    )
    baseline = run.findings.baseline
    total = (run.manifest.get("seconds") or {}).get("total")
    shown: dict[str, object] = {
        "trials": f"{n_complete} complete, {states.count(State.DOMINATED)} closed early, "
        f"{len(run.findings.failed)} failed",
        "front": f"{sum(1 for trial in run.front if trial.configuration)} compressed networks",
    }
    if baseline is not None:
        shown["baseline"] = (
            f"{word_score(baseline.scores['accuracy'], 1)} %, {word_score(baseline.scores['latency_ms'], 2)} ms, "
            f"{word_bytes(baseline.value('size_bytes'))}"
        )
    if total:
        shown["time"] = word_seconds(total)
    return definitions({**shown, "search": run.manifest.get("status", "unknown")})


def course(run: Run) -> Html:
    """How the search began and how it ended; nothing where there is nothing to say."""
    sentences = [f"{text}." for text in (run.beginning, run.ending) if text]
    return element("p", " ".join(sentences), "note") if sentences else Html("")


def settings(run: Run) -> Html:
    """What a person needs to repeat the run: task, profile, sampler, seed, version, objectives."""
    names = ("task", "hardware", "sampler", "seed", "n_trials", "version", "schema")
    shown: dict[str, object] = {name.replace("_", " "): run.manifest[name] for name in names if name in run.manifest}
    limits = ", ".join(limit.text for limit in run.goals.constraints)
    return definitions({**shown, "objectives": ", ".join(run.objectives.names), "limits": limits or "none"})


def fingerprint(run: Run) -> Html:
    """The machine and the software that the latencies belong to."""
    facts = {name.replace("_", " "): _plain(value) for name, value in run.manifest.get("fingerprint", {}).items()}
    key = run.manifest.get("fingerprint_key")
    return definitions({**facts, **({"key": key} if key else {})})


def profile(run: Run) -> Html:
    """The hardware profile, one line per leaf."""
    return definitions(dict(_leaves(run.manifest.get("profile", {}))))


def _front_cells(row: FrontRow, path: str | None, goals: Goals) -> list[object]:
    name: Html = as_html(f"#{row.number}")
    mark = "baseline" if row.is_baseline else pick_words(goals) if row.is_pick else ""
    latency = _score(row.latency_ms, 3)
    return [
        "" if row.is_baseline else _button(row.number),
        join([link(path, name) if path else name, element("small", mark)]),
        _score(row.accuracy, 1),
        _score(row.accuracy_drop, 1),
        latency if row.is_latency_good else join([latency, element("small", "not converged", "warn")]),
        word_ratio(row.speedup),
        word_bytes(row.size_bytes),
        word_ratio(row.size_ratio),
        *(_further(row, axis) for axis in further_columns(goals)),
        _score(row.test_accuracy, 1),
        _score(row.test_drop, 1),
        _executed(row.executed_int8),
        _VERIFIED[row.is_verified],
    ]


def _button(number: int) -> Html:
    """Shows the member in the report's first section."""
    return Html(
        f'<button type="button" data-pick="{number}" aria-pressed="false" aria-label="Show #{number}">Show</button>'
    )


def _further(row: FrontRow, axis: Objective) -> Html:
    """A score in the unit of its column."""
    score, words = row.macs if axis.name == "macs" else row.further.get(axis.name), cost_words(axis)
    return _score(None if score is None else scaled(score, axis), words.digits)


def _score(score: Score | None, digits: int) -> Html:
    """The value, its interval below it."""
    value, _, interval = ("" if score is None else word_score(score, digits)).partition(" ")
    return join([value, element("small", interval) if interval else ""])


def _executed(counts: tuple[int, int] | None) -> object:
    if counts is None:
        return ""
    executed, planned = counts
    return element("span", f"{executed} of {planned}", "warn" if executed < planned else "")


def _relative(path: Path, page_directory: Path) -> str:
    return Path(os.path.relpath(path, page_directory)).as_posix()


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _leaves(content: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    leaves: list[tuple[str, object]] = []
    for name, value in content.items():
        path = f"{prefix}{name}"
        leaves += _leaves(value, f"{path}.") if isinstance(value, Mapping) else [(path, _plain(value))]
    return leaves
