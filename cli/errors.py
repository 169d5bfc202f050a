"""The edge of the program: what a person can mend is one line on the error stream, never a stack trace."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

EXIT_ERROR, EXIT_INTERRUPTED = 1, 130
TRACE_VARIABLE = "PAREFRONT_TRACE"


def run_program(app: Callable[..., object]) -> None:
    """Runs a Typer program to its exit.

    Args:
        app: Called so that it raises what is wrong with the command line instead of printing it.
    """
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Who reads has seen enough, as `head` has. What is buffered yet must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if os.environ.get(TRACE_VARIABLE):
            raise
        line = _one_line(error)
        if line:  # empty where the help is the answer, and printed already
            from .console import complain

            complain(f"error: {line}", "red")
        sys.exit(EXIT_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(error: Exception) -> str:
    """Our own errors as they are worded; any other with its place, the user's own code rather than a library's."""
    from ..hardware_profiles.errors import ParefrontError

    if isinstance(error, ParefrontError):
        return str(error)
    if hasattr(error, "format_message"):
        return command_line_problem(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).resolve().parent.parent)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((ours, sys.prefix))]
    last = (theirs or frames)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{what} ({last.filename}:{last.lineno}); {TRACE_VARIABLE}=1 shows the stack trace"


def command_line_problem(error: Exception) -> str:
    """What is wrong with a command line, in one line; empty for other errors.

    Args:
        error: From Click, or from the copy of it in Typer, which share no public class.
    """
    word = getattr(error, "format_message", None)
    return " ".join(str(word()).split()) if callable(word) else ""
