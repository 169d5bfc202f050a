"""A disk that takes nothing any more: no fault of a candidate's, and nothing that a search could mend."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..hardware_profiles.errors import SearchError

_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_NOTHING_BYTES = 64 * 1024
"""With less room than that a disk is full: libraries that write in their own way do not tell why they failed."""


def is_disk_error(error: BaseException) -> bool:
    """Whether something failed because a disk takes nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _ERRORS:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def is_full(folder: Path) -> bool:
    """Whether a folder's disk has no room."""
    return folder.exists() and shutil.disk_usage(folder).free < _NOTHING_BYTES


def disk_error(folder: Path, why: str) -> SearchError:
    """What a person is told.

    Args:
        folder: On the disk, or on the one that was written to in the same place of another machine.
        why: What was tried and failed.
    """
    return SearchError(
        f"the disk of {folder} must take files, but does not ({why}): make room and start the same command again; "
        "every ended trial is kept"
    )


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
        raise disk_error(folder, str(error.strerror)) from error
