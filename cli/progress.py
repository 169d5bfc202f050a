"""The live display of a search: what runs, how far it is, how good the front is, how long it will take."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..results.wording import word_ratio, word_seconds
from ..search.status import Status

N_LAST = 5
"""Ended trials that stay visible."""
PLAIN_FIRST_S, PLAIN_EVERY_S = 2.0, 5.0
"""Seconds before the first line of progress within one step and between the others, where the output is no terminal."""


class Display(Protocol):
    """Shows progress; a context manager."""

    def on_progress(self, what: str, step: int, total: int) -> None:
        """Progress of the step that runs."""
        ...

    def on_status(self, status: Status) -> None:
        """A trial ended."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_display(title: str, *, is_verbose: bool = False) -> Display:
    """A live display on a terminal, plain lines elsewhere.

    Args:
        title: What is searched.
        is_verbose: Whether all that is logged is shown, or only what a person should know.
    """
    console = Console(stderr=True, highlight=False)
    kind = LiveDisplay if console.is_terminal else PlainDisplay
    return kind(title, console, is_verbose=is_verbose)


class LogLines(logging.Handler):
    """Shows what the packages log while a display is open: what is read, and what is left out; or all of it."""

    def __init__(self, show: Callable[[str], None], *, is_verbose: bool = False) -> None:
        super().__init__(logging.DEBUG if is_verbose else logging.INFO)
        self._show, self._is_verbose = show, is_verbose
        self._logger = logging.getLogger(__name__.partition(".")[0])
        self._level_before = self._logger.level

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one line; among many the time tells them apart."""
        line = record.getMessage()
        self._show(f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {line}" if self._is_verbose else line)

    def start(self) -> None:
        """Begins to show."""
        self._level_before = self._logger.level
        self._logger.setLevel(self.level)
        self._logger.addHandler(self)

    def stop(self) -> None:
        """Leaves everything as it was."""
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level_before)


class StepClock:
    """How far one step of work is, and how long it will take at the pace so far."""

    def __init__(self) -> None:
        self._what = ""
        self._done = self._total = self._began_at = 0
        self._began = 0.0

    def tick(self, what: str, step: int, total: int) -> None:
        """Notes progress; another name, or a smaller number of steps, begins anew."""
        if what != self._what or step < self._done:
            self._what, self._began, self._began_at = what, time.monotonic(), step
        self._done, self._total = step, total

    @property
    def has_ended(self) -> bool:
        """Whether all steps are done."""
        return self._done >= self._total

    def words(self) -> str:
        """Such as `fine-tuning: step 40 of 200, 12.1 s left`."""
        done = self._done - self._began_at
        left = "" if done == 0 else f", {word_seconds(self._left_s(done))} left"
        return f"{self._what}: step {self._done} of {self._total}{left}"

    def _left_s(self, done: int) -> float:
        return (time.monotonic() - self._began) / done * (self._total - self._done)


class PlainDisplay:
    """One line per ended trial, and for long steps one every few seconds."""

    def __init__(self, title: str, console: Console, *, is_verbose: bool = False) -> None:
        self._console = console
        self._title = title
        self._log = LogLines(self._say, is_verbose=is_verbose)
        self._steps = StepClock()
        self._next_line = time.monotonic() + PLAIN_FIRST_S

    def on_progress(self, what: str, step: int, total: int) -> None:
        """See `Display`; fine-tunes are short, so only what lasts is told."""
        self._steps.tick(what, step, total)
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + PLAIN_EVERY_S
            self._say(self._steps.words())

    def on_status(self, status: Status) -> None:
        """See `Display`."""
        self._next_line = time.monotonic() + PLAIN_FIRST_S
        self._say(f"[{status.phase} {status.n_done}/{status.n_total}] {status.last} · {_numbers(status)}")

    def __enter__(self) -> Self:
        self._log.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.stop()

    def _say(self, line: str) -> None:
        """Prints a line; before the first one the title, which alone would only stand between a user and an error."""
        if self._title:
            self._console.print(self._title, soft_wrap=True, markup=False)
            self._title = ""
        self._console.print(line, soft_wrap=True, markup=False)


class LiveDisplay:
    """A panel that redraws itself: bar, figures, the last trials, the step that runs."""

    def __init__(self, title: str, console: Console, *, is_verbose: bool = False) -> None:
        self._title = title
        self._started = time.monotonic()
        self._status: Status | None = None
        self._steps: StepClock | None = None
        self._last: deque[str] = deque(maxlen=N_LAST)
        self._log = LogLines(
            lambda line: console.print(line, soft_wrap=True, markup=False),
            is_verbose=is_verbose,
        )
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def on_progress(self, what: str, step: int, total: int) -> None:
        """See `Display`."""
        self._steps = self._steps or StepClock()
        self._steps.tick(what, step, total)

    def on_status(self, status: Status) -> None:
        """See `Display`."""
        self._status, self._steps = status, None
        self._last.append(status.last)

    def __enter__(self) -> Self:
        self._log.start()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._log.stop()

    def _render(self) -> RenderableType:
        elapsed = word_seconds(time.monotonic() - self._started)
        parts: list[RenderableType] = [Text(f"{self._title} · {elapsed}", style="bold")]
        if self._status is not None:
            status = self._status
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                status.phase,
                ProgressBar(total=max(1, status.n_total), completed=status.n_done, width=40),
                f"{status.n_done}/{status.n_total}",
            )
            parts += [bar, Text(_numbers(status))]
        parts += [Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in self._last]
        step = "preparing and measuring" if self._steps is None or self._steps.has_ended else self._steps.words()
        parts.append(Text(step, style="cyan"))
        return Group(*parts)


def _numbers(status: Status) -> str:
    best = "none yet" if status.best_speedup is None else word_ratio(status.best_speedup)
    gain = "speed-up" if status.main_cost == "latency" else f"gain in {status.main_cost}"
    limit = "" if status.ends_by == "candidates" else f" ({status.ends_by})"
    left = "" if status.eta_s is None else f" · {word_seconds(status.eta_s)} left{limit}"
    front = f"front {status.n_front} · hypervolume {status.hypervolume:.3f}"
    return f"{front} · best {gain} within {status.within_pt:g} pt: {best}{left}"
