"""One attempt at one search of a sweep: a process of its own, which goes on from the search's run directory."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from ..hardware_profiles.errors import SearchError
from . import end_with_parent
from .sweep_directory import Event, Stop, SweepDirectory
from .sweep_plan import SweepPlan, SweepSearch

POLL_S = 0.2
_INTERRUPTED = 130
"""How `parefront search` ends after Ctrl-C: everything that was evaluated is kept."""


def attempt(search: SweepSearch, plan: SweepPlan, directory: SweepDirectory, command: Sequence[str]) -> Event:
    """Runs a search to its end, or until the sweep is asked to stop at once.

    Args:
        search: Which one.
        plan: It is part of.
        directory: Of the sweep.
        command: What runs a search, without its flags.

    Returns:
        `FINISHED` or `STOPPED`.

    Raises:
        SearchError: It failed; it goes on where it was when it is tried again.
    """
    if directory.attempts(search.name).last is Event.FINISHED:
        return Event.FINISHED  # whoever ran the sweep was killed before it noted that
    if directory.stop() is not None:
        return _end(directory, search, Event.STOPPED)
    directory.note(search.name, Event.BEGAN, pid=os.getpid())
    try:
        _check_version(plan)
        code = _run(search, plan, directory, command)
    except (OSError, SearchError) as error:
        _end(directory, search, Event.FAILED, str(error))
        raise SearchError(str(error)) from error
    if code in (0, _INTERRUPTED):
        return _end(directory, search, Event.FINISHED if code == 0 else Event.STOPPED)
    reason = _reason(directory.output(search.name), code)
    _end(directory, search, Event.FAILED, reason)
    raise SearchError(f"{search.name}: {reason}")


def _run(search: SweepSearch, plan: SweepPlan, directory: SweepDirectory, command: Sequence[str]) -> int:
    """The exit status of the search's process."""
    flags = directory.flags(search.name)
    flags.write_text(yaml.safe_dump(dict(search.flags), sort_keys=True), encoding="utf-8")
    line = [sys.executable, "-P", end_with_parent.__file__, str(os.getpid()), *command, "--config", str(flags)]
    # Relative paths of a task mean the sweep's directory; a node that lacks it may have a copy of its own.
    folder = plan.directory if plan.directory.is_dir() else Path.cwd()
    with directory.output(search.name).open("ab") as output:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, env=_environment(search)
        )
        is_told = False
        while process.poll() is None:
            if not is_told and directory.stop() is Stop.NOW:
                process.send_signal(signal.SIGINT)
                is_told = True
            time.sleep(POLL_S)
    return process.returncode


def _environment(search: SweepSearch) -> dict[str, str]:
    """Ours, without what Ray tells its workers: the search is none of them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "OMP_NUM_THREADS": str(search.n_cpus)}


def _check_version(plan: SweepPlan) -> None:
    here = importlib.metadata.version("parefront")
    if here != plan.version:
        raise SearchError(
            f"all nodes must have the sweep's version of parefront, {plan.version}, but this one has {here}: install "
            "the same one everywhere"
        )


def _end(directory: SweepDirectory, search: SweepSearch, event: Event, error: str = "") -> Event:
    directory.note(search.name, event, **({"error": error} if error else {}))
    return event


def _reason(output: Path, code: int) -> str:
    """Why a search failed, in one line: its own error, or the signal that ended it."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{', for want of memory perhaps' if name == 'SIGKILL' else ''}"
    lines = [line for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter([*errors[::-1], *lines[::-1]]), f"exit status {code}, see {output}")
