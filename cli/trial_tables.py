"""The trials of a run, and one of them in full, for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from ..results import Run
from ..results.trial_view import TrialView, word_fidelity
from ..results.wording import word_bytes, word_ratio, word_seconds
from ..search.trial import State, Trial
from .console import open_console, open_table
from .inspection_tables import word_names

_STATE_STYLES = {State.FAILED: "red", State.DOMINATED: "dim"}
_OPERATORS = "operators"
"""Begins the names of the long lists among the details of a trial: times operator by operator."""


def print_trials(run: Run) -> None:
    """One row each, in the order in which they ended."""
    if not run.trials:
        open_console().print(Text(run.summary))
        return
    front, baseline = {trial.number for trial in run.front}, run.findings.baseline
    table = open_table(open_console())
    for heading in ("trial", "drop pt", "latency ms", "faster", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("training", no_wrap=True)
    table.add_column("what became of it", overflow="fold")
    for trial in run.trials:
        is_member = trial.number in front
        style = "bold" if is_member else _STATE_STYLES.get(trial.state)
        table.add_row(*_figures(trial, baseline), Text(_fate(trial, is_member=is_member)), style=style)
    open_console().print(table)


def trial_records(run: Run) -> list[dict[str, Any]]:
    """Every trial as it is recorded, without the times of single operators, for `--json`."""
    front = {trial.number for trial in run.front}
    return [
        {
            **trial.to_json(),
            "configuration": dict(trial.configuration),
            "details": {name: fact for name, fact in trial.details.items() if not name.startswith(_OPERATORS)},
            "is_on_front": trial.number in front,
        }
        for trial in run.trials
    ]


def print_trial(view: TrialView, run: Run) -> None:
    """Everything about one trial."""
    console = open_console()
    trial = view.trial
    what = "the network as it came" if not trial.configuration else trial.origin
    console.print(Text.assemble((f"Trial {trial.number}", "bold"), f" of {run.directory}: {what}"))
    style = "bold green" if trial in run.front else _STATE_STYLES.get(trial.state, "")
    training = f" ({word_fidelity(trial.fidelity)})" if "accuracy" in trial.scores else ""
    standing = view.standing[:1].upper() + view.standing[1:]
    console.print(Text(f"{standing}{training}", style=style))
    _print_scores(console, view)
    _print_layers(console, view)
    if trial.configuration:
        console.print(Text.assemble(("Why: ", "bold"), view.lineage.text))
        if view.lineage.changes_text:
            console.print(Text(view.lineage.changes_text, style="dim"))
    _print_facts(console, view, run)


def _figures(trial: Trial, baseline: Trial | None) -> list[str]:
    scores = trial.scores
    latency, size, drop = (scores.get(name) for name in ("latency_ms", "size_bytes", "accuracy_drop"))
    faster = "" if latency is None or baseline is None else word_ratio(baseline.value("latency_ms") / latency.value)
    return [
        str(trial.number),
        "" if drop is None else f"{drop.value:.2f}",
        "" if latency is None else f"{latency.value:.3f}",
        faster,
        "" if size is None else word_bytes(size.value),
        trial.fidelity.value if drop is not None else "",
    ]


def _fate(trial: Trial, *, is_member: bool) -> str:
    if trial.state is State.FAILED:
        return f"failed: {trial.reason}"
    if trial.state is State.DOMINATED:
        return f"closed: {trial.origin}"
    if trial.is_verified is False:
        return f"not verified: {trial.reason}"
    return f"front: {trial.origin}" if is_member else trial.origin


def _print_scores(console: Console, view: TrialView) -> None:
    if not view.scores:
        return
    is_baseline = not view.trial.configuration
    table = open_table(open_console())
    table.add_column("", no_wrap=True)
    for heading in ("this trial", *(() if is_baseline else ("baseline",))):
        table.add_column(heading, justify="right", overflow="fold")
    if not is_baseline:
        table.add_column("against it", overflow="fold")
    for line in view.scores:
        table.add_row(Text(line.name), line.value, *(() if is_baseline else (line.baseline, line.difference)))
    console.print(table)


def _print_layers(console: Console, view: TrialView) -> None:
    changed = [layer for layer in view.layers if layer.words]
    if not changed:
        return
    table = open_table(open_console())
    for heading in ("layer", "what was done", "what it was"):
        table.add_column(heading, overflow="fold")
    for layer in changed:
        table.add_row(Text(layer.name), Text(" · ".join(layer.words)), Text(layer.facts, style="dim"))
    console.print(table)
    unchanged = [layer.name for layer in view.layers if not layer.words]
    if unchanged:
        console.print(Text(f"Unchanged: {word_names(unchanged)}"))


def _print_facts(console: Console, view: TrialView, run: Run) -> None:
    """Seconds, executed precision, quality of the latency, the file."""
    trial = view.trial
    if trial.seconds:
        stages = ", ".join(f"{stage} {word_seconds(seconds)}" for stage, seconds in trial.seconds.items())
        console.print(Text.assemble(("Time: ", "bold"), stages))
    if trial.details.get("latency_quality", "good") != "good":
        console.print(Text("The latency did not converge: its whole interval counts.", style="yellow"))
    if trial.details.get("planned_int8"):
        counts = f"{trial.details.get('executed_int8')} of {trial.details['planned_int8']} planned operators"
        console.print(Text.assemble(("In int8: ", "bold"), counts))
    if trial.artefact is not None:
        problem = next(iter(run.artefact_problems([trial])), "")
        place = run.artefacts / trial.artefact
        console.print(Text.assemble(("File: ", "bold"), problem or str(place), style="yellow" if problem else ""))
