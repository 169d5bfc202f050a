"""Opens exported files in their runtimes."""

from __future__ import annotations

import os
from pathlib import Path

from ..hardware_profiles.runtimes import check_runtime, get_runtime
from .probe import Function


def open_file(path: Path, runtime: str) -> Function:
    """Loads a file in a session of its own, on all cores.

    Args:
        path: The file.
        runtime: Name of the runtime.

    Raises:
        ProfileError: The runtime or its device is missing here.
        MeasurementError: It cannot load the file.
    """
    check_runtime(runtime)
    session = get_runtime(runtime).open_session(path, len(os.sched_getaffinity(0)))
    return lambda inputs: session.run(inputs)
