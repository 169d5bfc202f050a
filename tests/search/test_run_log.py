import errno
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parefront.search.run_log import read_log, written_log

LOGGER = logging.getLogger("parefront.some.module")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_an_entry_says_when_what_and_of_which_trial(path: Path) -> None:
    level, before = logging.getLogger("parefront").level, datetime.now(UTC)
    with written_log(path):
        LOGGER.debug("%s failed", "trial-3", extra={"event": "stage failed", "job": "trial-3", "reason": "NaN"})
        LOGGER.warning("the %s is away", "device")
        logging.getLogger("others").warning("not ours")
    LOGGER.warning("after the end")
    failed, away = (json.loads(line) for line in path.read_text().splitlines())
    assert before.replace(microsecond=0) <= datetime.fromisoformat(failed.pop("time")) <= datetime.now(UTC)
    assert failed == {
        "level": "DEBUG",
        "logger": "parefront.some.module",
        "event": "stage failed",
        "job": "trial-3",
        "reason": "NaN",
        "message": "trial-3 failed",
    }
    assert (away["level"], away["event"], away["message"]) == ("WARNING", "message", "the device is away")
    assert logging.getLogger("parefront").level == level


def test_a_log_goes_on_after_half_a_line(path: Path) -> None:
    with written_log(path):
        LOGGER.info("first")
    with path.open("ab") as file:
        file.write(b'{"time": "2026-')
    with written_log(path):
        LOGGER.info("second")
        LOGGER.info("third")
    assert [entry["message"] for entry in read_log(path)] == ["first", "second", "third"]


def test_a_full_disk_costs_entries_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = os.write

    def take_a_part(file: int, content: bytes) -> int:
        return write(file, content[:7])

    def take_nothing(file: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with written_log(path):
        LOGGER.info("before")
        for fault in (take_a_part, take_nothing):
            monkeypatch.setattr(os, "write", fault)
            LOGGER.info("lost")
        monkeypatch.undo()
        LOGGER.info("after")
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"the log {path} cannot be written" in told  # once, to whoever else listens
    assert told.endswith("the search goes on without it")
    # The two, and what was told about the first.
    messages = [entry["message"] for entry in read_log(path)]
    assert messages == ["before", "entries that could not be written here: 3", "after"]


def test_what_json_cannot_hold_fails_nothing(path: Path) -> None:
    with written_log(path):
        LOGGER.info("odd", extra={"trial": object()})
        LOGGER.info("after")
    assert read_log(path)[-1]["message"] == "after"
