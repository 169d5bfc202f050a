"""A disk that takes nothing any more: no fault of a candidate's, and nothing that a search can mend."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..hardware_profiles.errors import SearchError

_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_NOTHING_BYTES = 64 * 1024
"""With less room than that a disk is full: libraries that write in their own way do not always tell why they failed."""


def disk_problem(error: BaseException, folder: Path) -> str:
    """What is wrong with a disk, in words, if that is why something failed; else empty.

    Args:
        error: What was raised.
        folder: Where it was written, which exists.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _ERRORS:
            return f"the disk of {folder} must take files, but {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    if shutil.disk_usage(folder).free < _NOTHING_BYTES:
        return f"the disk of {folder} must take files, but is full"
    return ""


def remedy(problem: str) -> str:
    """The whole message."""
    return f"{problem}: make room and start the same command again; every ended trial is kept"


@contextmanager
def told_if_full(folder: Path) -> Iterator[None]:
    """Words what the operating system says of a disk.

    Args:
        folder: Of the run.

    Raises:
        SearchError: The disk took nothing any more.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _ERRORS:
            raise
        raise SearchError(remedy(disk_problem(error, folder))) from error
