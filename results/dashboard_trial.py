"""What the dashboard says of one trial: scores, decisions, origin, its file, and what the log says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ..search.trial import State, Trial
from .dashboard_address import Selection
from .dashboard_markup import go_to
from .load import Run
from .markup import Html, as_html, definitions, element, join, table
from .run_catalogue import handing_out_problem
from .trial_view import TrialView, view_trial, word_fidelity
from .wording import word_bytes, word_seconds

MAX_ENTRIES = 40
"""Entries of the log that are shown; the latest."""
DOWNLOAD = "/artefact"
"""Where files are handed out."""


def trial_panel(run: Run, selection: Selection, log: Sequence[Mapping[str, Any]]) -> Html:
    """Everything about the chosen trial; how to choose one where none is.

    Args:
        run: The run.
        selection: What is shown.
        log: Entries about the trial, the earliest first.

    Raises:
        ResultsError: The run has no such trial.
    """
    if selection.trial is None:
        return element("p", "A click on a point, or on a number in the table, shows that trial here.", "note")
    view = view_trial(run, selection.trial)
    trial = view.trial
    what = trial.origin if trial.configuration else "the network as it came"
    training = f", {word_fidelity(trial.fidelity)}" if "accuracy" in trial.scores else ""
    bad = trial.state is State.FAILED or trial.is_verified is False
    close = go_to(selection.but(trial=None), "Close", "close", "Close this trial")
    return join(
        [
            element("div", join([element("h2", f"#{trial.number} {what}"), close]), "bar-top"),
            element("p", _sentence(f"{view.standing}{training}"), "note warn" if bad else "note"),
            _scores(view),
            _file(run, trial, selection.run),
            _facts(view),
        ]
    )


def trial_layers(run: Run, selection: Selection, log: Sequence[Mapping[str, Any]]) -> Html:
    """What was done to each layer of the chosen trial, and what the log says of it."""
    if selection.trial is None:
        return Html("")
    view = view_trial(run, selection.trial)
    changed = [layer for layer in view.layers if layer.words]
    rows = [(layer.name, " · ".join(layer.words), element("small", layer.facts)) for layer in changed]
    n_same = len(view.layers) - len(changed)
    parts = [element("h3", f"What #{view.trial.number} does to each layer")]
    parts.append(table(("layer", "what was done", "what it was"), rows, "words") if rows else Html(""))
    if n_same:
        parts.append(element("p", f"Unchanged: {n_same} of {len(view.layers)} layers.", "note"))
    return join([*parts, _log(log)])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _scores(view: TrialView) -> Html:
    if not view.scores:
        return Html("")
    rows = [(line.name, _value(line.value), line.baseline, _value(line.difference)) for line in view.scores]
    return table(("score", f"#{view.trial.number}", "baseline", "against it"), rows, "numbers")


def _value(text: str) -> Html:
    """The value, its interval below it."""
    value, bracket, interval = text.partition(" [")
    return join([value, element("small", f"[{interval}") if bracket else ""])


def _file(run: Run, trial: Trial, name: str) -> Html:
    if trial.artefact is None:
        return Html("")
    problem = handing_out_problem(run, trial)
    if problem:
        return element("p", f"Its file is not handed out: {problem}.", "note warn")
    address = f"{DOWNLOAD}?{urlencode({'run': name, 'trial': trial.number})}"
    size = f" ({word_bytes(trial.value('size_bytes'))})" if "size_bytes" in trial.scores else ""
    link = Html(f'<a href="{as_html(address)}" class="download">Download {as_html(trial.artefact)}</a>')
    return element("p", join([link, size]), "note")


def _facts(view: TrialView) -> Html:
    trial = view.trial
    facts: dict[str, object] = {}
    if trial.configuration:
        facts["why"] = join([view.lineage.text, element("small", view.lineage.changes_text)])
    if trial.seconds:
        facts["time"] = ", ".join(f"{stage} {word_seconds(seconds)}" for stage, seconds in trial.seconds.items())
    if trial.details.get("latency_quality", "good") != "good":
        facts["latency"] = element("span", "did not converge: its whole interval counts", "warn")
    if trial.details.get("planned_int8"):
        executed, planned = trial.details.get("executed_int8"), trial.details["planned_int8"]
        facts["in int8"] = f"{executed} of {planned} planned operators"
    return element("div", definitions(facts), "why")


def _log(entries: Sequence[Mapping[str, Any]]) -> Html:
    heading = element("h3", "What the log says of it")
    if not entries:
        return join([heading, element("p", "Nothing: the run has no log, or none of this trial.", "note")])
    shown = entries[-MAX_ENTRIES:]
    rows = [_entry(entry) for entry in shown]
    left_out = f"{len(entries) - len(shown)} earlier entries are in log.jsonl." if len(entries) > len(shown) else ""
    return join([heading, table(("time (UTC)", "level", "message"), rows, "words log"), element("p", left_out, "note")])


def _entry(entry: Mapping[str, Any]) -> list[object]:
    time, level = str(entry.get("time", "")).partition(".")[0].replace("T", " "), str(entry.get("level", ""))
    trace = element("pre", entry["trace"]) if entry.get("trace") else Html("")
    is_bad = level in ("WARNING", "ERROR", "CRITICAL")
    return [time, element("span", level.lower(), "warn" if is_bad else "soft"), join([entry.get("message", ""), trace])]
