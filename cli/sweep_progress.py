"""The live display of a sweep: what each search is at, how far all of them are, how long it will take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..hardware_profiles.errors import ParefrontError
from ..results.load import Run, load
from ..results.sweep import Sweep, SweptSearch, load_sweep
from ..results.sweep_report import sweep_line
from ..results.wording import word_seconds
from ..search.sweep_directory import SearchState

_LIVE_STATES = (SearchState.RUNNING, SearchState.RETRYING)
_READ_EVERY_S = 2.0


class RunCache:
    """Reads runs, those that did not change since only once."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[float, ...], Run]] = {}

    def __call__(self, root: Path) -> Run:
        """A run, as `load` gives it."""
        files = (root / "run.json", root / "journal.log")
        if not files[1].is_file():
            return load(root)  # its trials are in a database, which only a look at it tells anything of
        stamp = tuple(
            value for file in files if file.is_file() for value in (file.stat().st_mtime, file.stat().st_size)
        )
        if root not in self._known or self._known[root][0] != stamp:
            self._known[root] = (stamp, load(root))
        return self._known[root][1]


class SweepDisplay:
    """What happens in a sweep's directory, as a panel that redraws itself or, without a terminal, as lines."""

    def __init__(self, root: Path, console: Console) -> None:
        """Shows nothing yet.

        Args:
            root: Directory of the sweep.
            console: Where to.
        """
        self._root, self._console = root, console
        self._load_run, self._started, self._next = RunCache(), time.monotonic(), 0.0
        self._done_at_start: int | None = None
        self._states: dict[str, SearchState] = {}
        self.live: Live | None = None

    def tick(self) -> None:
        """There may be news."""
        if time.monotonic() < self._next:
            return
        try:
            sweep = load_sweep(self._root, self._load_run)
        except (ParefrontError, OSError, ValueError):
            return  # a file was caught half-written; the next look is soon
        self._next = time.monotonic() + _READ_EVERY_S
        if self._done_at_start is None:
            self._done_at_start = _n_done(sweep)
        self._tell_changes(sweep)
        if self.live is not None:
            self.live.update(self._panel(sweep))

    def _tell_changes(self, sweep: Sweep) -> None:
        for each in sweep.searches:
            before = self._states.get(each.planned.name, SearchState.WAITING)
            self._states[each.planned.name] = each.state
            if each.state is not before:
                self._console.print(_news(each), soft_wrap=True, markup=False)

    def _panel(self, sweep: Sweep) -> RenderableType:
        n_done, n_total = _n_done(sweep), _n_total(sweep)
        bar = Table.grid(padding=(0, 1))
        bar.add_row("trials", ProgressBar(total=max(1, n_total), completed=n_done, width=40), f"{n_done}/{n_total}")
        lines = [
            Text(f"  {each.planned.name}: {_progress(each)}", style="cyan", no_wrap=True, overflow="ellipsis")
            for each in sweep.searches
            if each.state in _LIVE_STATES
        ]
        head = Text(
            f"{sweep_line(sweep)} · {word_seconds(time.monotonic() - self._started)}{self._left(n_done, n_total)}"
        )
        head.stylize("bold")
        return Group(head, bar, *lines)

    def _left(self, n_done: int, n_total: int) -> str:
        """The time left at the pace since the display was opened."""
        done = n_done - (self._done_at_start or 0)
        if done < 1:
            return ""
        left_s = (time.monotonic() - self._started) / done * (n_total - n_done)
        return f" · about {word_seconds(left_s)} left"


@contextlib.contextmanager
def open_sweep_display(root: Path) -> Iterator[Callable[[], None]]:
    """A display on the error stream; gives what is to be called whenever there may be news."""
    console = Console(stderr=True, highlight=False)
    display = SweepDisplay(root, console)
    if not console.is_terminal:
        yield display.tick
        return
    with Live(Text("starting Ray", style="cyan"), console=console, refresh_per_second=4, transient=True) as live:
        display.live = live
        yield display.tick


def _news(each: SweptSearch) -> str:
    line = f"{each.planned.name}: {each.state}"
    if each.error and each.state in (SearchState.RETRYING, SearchState.FAILED):
        return f"{line}: {each.error}"
    if each.state is SearchState.FINISHED and each.run is not None:
        return f"{line}: {each.run.summary}"
    return line


def _progress(each: SweptSearch) -> str:
    if each.state is SearchState.RETRYING:
        return f"begins again after: {each.error}"
    if each.run is None or len(each.run.trials) <= 2:
        return "baseline"
    return f"{_ended(each)}/{each.planned.n_trials + each.planned.n_finals} trials, {each.run.summary}"


def _ended(each: SweptSearch) -> int:
    trials = each.run.trials if each.run else ()
    return sum(1 for trial in trials if trial.configuration and trial.supersedes is None)


def _n_total(sweep: Sweep) -> int:
    return sum(each.planned.n_trials + each.planned.n_finals for each in sweep.searches)


def _n_done(sweep: Sweep) -> int:
    """Trials that need not be done any more: an ended search may have had fewer than it was asked for."""
    ended = (SearchState.FINISHED, SearchState.FAILED)
    return sum(
        each.planned.n_trials + each.planned.n_finals if each.state in ended else _ended(each)
        for each in sweep.searches
    )
