"""The dashboard's first page: the runs and sweeps of a folder, whatever state they are in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..hardware_profiles.errors import ParefrontError
from ..search.sweep_directory import SearchState
from .dashboard_address import MAX_COMPARED, Selection
from .dashboard_markup import go_to
from .markup import Html, as_html, element, join, table
from .run_catalogue import ITSELF, checked_sweep
from .run_list import RunLine
from .wording import word_ratio

_HEAD = ("run", "task on hardware", "status", "trials", "front", "lost, pt", "faster", "smaller", "compare")
_STATUS_CLASSES = {"running": "good", "unreadable": "warn", "unfinished": "warn"}


def listing(folder: Path, lines: Mapping[str, RunLine], sweeps: Mapping[str, Path], selection: Selection) -> Html:
    """Sweeps in a sentence each, then every run as a row.

    Args:
        folder: That was opened.
        lines: Runs by name.
        sweeps: Directories of the sweeps by name.
        selection: What is shown; its runs to compare are marked.
    """
    if not lines:
        nothing = f"No run in {folder} yet. `parefront search TASK --out {folder}/NAME` begins one; it appears here."
        return join([_sweeps(folder, sweeps), element("p", nothing, "note")])
    rows = [_row(name, line, selection) for name, line in lines.items()]
    notes = [note for name, line in lines.items() for note in _notes(name, line)]
    return join([_sweeps(folder, sweeps), table(_HEAD, rows, "numbers runs"), *notes])


def shown_name(name: str, line: RunLine | None = None) -> str:
    """A run's name for people; that of its directory where it is the folder itself."""
    return line.directory.resolve().name if name == ITSELF and line is not None else name


def _row(name: str, line: RunLine, selection: Selection) -> list[object]:
    status = element("span", line.status, _STATUS_CLASSES.get(line.status, ""))
    what = f"{line.task} on {line.hardware}" if line.task else ""
    if line.status == "unreadable":
        return [element("span", shown_name(name, line)), what, status, *[""] * 6]
    gains = (line.speedup, line.size_ratio)
    return [
        go_to(Selection(run=name), shown_name(name, line)),
        what,
        status,
        f"{line.n_trials:,}",
        line.n_front,
        "" if line.accuracy_drop_pt is None else f"{line.accuracy_drop_pt:.2f}",
        *("" if gain is None else word_ratio(gain) for gain in gains),
        _compare(name, selection),
    ]


def _compare(name: str, selection: Selection) -> Html:
    if name in selection.compare:
        others = tuple(each for each in selection.compare if each != name)
        return go_to(selection.but(compare=others), "remove", "pressed", f"Take {name} out of the comparison")
    if len(selection.compare) >= MAX_COMPARED:
        return Html("")
    return go_to(selection.but(compare=(*selection.compare, name)), "add", "", f"Compare {name} with others")


def _notes(name: str, line: RunLine) -> list[Html]:
    sentences = [line.summary] if line.status == "unreadable" else line.problems
    return [element("p", join([element("strong", name), f": {sentence}"]), "note warn") for sentence in sentences]


def _sweeps(folder: Path, sweeps: Mapping[str, Path]) -> Html:
    sentences = [_sweep(folder, path, name) for name, path in sweeps.items()]
    return join([element("p", sentence, "note") for sentence in sentences])


def _sweep(folder: Path, root: Path, name: str) -> Html:
    """How far a sweep is, and why searches of it failed."""
    shown = root.resolve().name if name == ITSELF else name
    head = join(["Sweep ", element("strong", go_to(Selection(sweep=name), shown)), ": "])
    try:
        directory = checked_sweep(root, folder)
        plan, driver = directory.read_plan(), directory.driver()
        states = {each.name: directory.state(each.name, is_driven=bool(driver)) for each in plan.searches}
        errors = {name: directory.attempts(name).error for name, s in states.items() if s is SearchState.FAILED}
    except (ParefrontError, LookupError, TypeError, ValueError, OSError) as error:
        return join([head, element("span", f"its state cannot be read ({error})", "warn")])
    counts = [f"{n} {state}" for state in SearchState if (n := list(states.values()).count(state))]
    who = f"; {driver} runs it" if driver else ""
    reasons = [element("span", f" {name} failed: {reason}.", "warn") for name, reason in errors.items() if reason]
    return join([head, as_html(f"{len(states)} searches, {', '.join(counts)}{who}."), *reasons])
