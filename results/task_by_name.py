"""Finds the task that a run or an exported model names, without running anybody's file."""

from __future__ import annotations

from ..hardware_profiles.errors import TaskError
from ..tasks import BUILT_IN, Task, load_task
from .load import ResultsError


def task_by_name(name: str) -> Task:
    """A built-in task, or a known model on known data.

    A file is never loaded because a name read from disk says so: that would run what is in it.

    Raises:
        ResultsError: It is of a user's file.
    """
    is_known = name in BUILT_IN or ("@" in name and not name.partition(":")[0].endswith(".py"))
    wanted = (
        f"the network is built from its task, which must be given unless it is built in, got the name {name!r} only: "
        "add --task my_task.py, the task as the search had it"
    )
    if not is_known:
        raise ResultsError(wanted)
    try:
        return load_task(name)
    except TaskError as error:
        raise ResultsError(f"{wanted} ({error})") from error
