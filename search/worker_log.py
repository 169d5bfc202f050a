"""What a worker logs travels with its result, so that one file tells all of a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .run_log import FIELDS, PACKAGE

T = TypeVar("T")
MAX_ENTRIES = 1000
"""Of one job: a library that logs in a loop must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """A result, and what was logged on the way.

    Attributes:
        result: What was asked for.
        entries: Facts of log records, which themselves may hold what cannot travel.
    """

    result: T
    entries: tuple[Mapping[str, Any], ...]

    def repeated(self) -> T:
        """The result; what was logged is logged here, with the time at which it was."""
        for entry in self.entries:
            record = logging.makeLogRecord(dict(entry))
            logging.getLogger(record.name).handle(record)
        return self.result


def listened(work: Callable[[], T]) -> Told[T]:
    """Does something in a worker, and listens to what the package logs meanwhile."""
    heard = _Heard()
    logger = logging.getLogger(PACKAGE)
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(heard)
    try:
        return Told(work(), tuple(heard.entries))
    finally:
        logger.removeHandler(heard)
        logger.setLevel(level)
        logger.propagate = propagates


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.entries: list[dict[str, Any]] = []
        self._worker = f"{os.uname().nodename}:{os.getpid()}"

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.entries) < MAX_ENTRIES:
            given = {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
            self.entries.append(
                {
                    **given,
                    "worker": self._worker,
                    "name": record.name,
                    "levelno": record.levelno,
                    "levelname": record.levelname,
                    "created": record.created,
                    "msg": record.getMessage(),
                }
            )
