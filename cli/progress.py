"""The live display of a search: what runs, how far it is, how good the front is, how long it will take."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..results.wording import word_ratio, word_seconds
from ..search.engine import Status

N_LAST = 5
"""Ended trials that stay visible."""
PLAIN_EVERY_S = 5.0
"""Seconds between lines of progress within one step, where the output is not a terminal."""


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


def open_display(title: str) -> Display:
    """A live display on a terminal, plain lines elsewhere."""
    console = Console(stderr=True, highlight=False)
    return LiveDisplay(title, console) if console.is_terminal else PlainDisplay(title, console)


class PlainDisplay:
    """One line per ended trial, and for long steps one every few seconds."""

    def __init__(self, title: str, console: Console) -> None:
        self._console = console
        self._started = self._last_line = time.monotonic()
        self._console.print(title, soft_wrap=True)

    def on_progress(self, what: str, step: int, total: int) -> None:
        """See `Display`; fine-tunes are short, so only what lasts is told."""
        now = time.monotonic()
        if now - self._last_line > PLAIN_EVERY_S:
            self._last_line = now
            self._console.print(f"{what}: {step} of {total} steps", soft_wrap=True)

    def on_status(self, status: Status) -> None:
        """See `Display`."""
        self._last_line = time.monotonic()
        self._console.print(f"[{status.phase} {status.n_done}/{status.n_total}] ", end="", markup=False)
        self._console.print(f"{status.last} · {_numbers(status)}", soft_wrap=True, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LiveDisplay:
    """A panel that redraws itself: bar, figures, the last trials, the step that runs."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._started = time.monotonic()
        self._status: Status | None = None
        self._step: tuple[str, int, int, float] | None = None
        self._last: deque[str] = deque(maxlen=N_LAST)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def on_progress(self, what: str, step: int, total: int) -> None:
        """See `Display`."""
        began = self._step[3] if self._step and self._step[0] == what and step > 1 else time.monotonic()
        self._step = (what, step, total, began)

    def on_status(self, status: Status) -> None:
        """See `Display`."""
        self._status, self._step = status, None
        self._last.append(status.last)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

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
        parts.append(Text(_step(self._step), style="cyan"))
        return Group(*parts)


def _numbers(status: Status) -> str:
    speedup = "none yet" if status.best_speedup is None else word_ratio(status.best_speedup)
    left = "" if status.eta_s is None else f" · {word_seconds(status.eta_s)} left"
    return f"front {status.n_front} · hypervolume {status.hypervolume:.3f} · best speed-up within 1 pt: {speedup}{left}"


def _step(step: tuple[str, int, int, float] | None) -> str:
    if step is None:
        return "preparing and measuring"
    what, done, total, began = step
    left = (time.monotonic() - began) / max(1, done) * (total - done)
    return f"{what}: step {done} of {total}, {word_seconds(left)} left"
