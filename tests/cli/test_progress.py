import dataclasses
import io
import logging

import pytest
from rich.console import Console

from parefront.cli import progress
from parefront.cli.progress import PlainDisplay, StepClock
from parefront.search.status import Status


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_the_time_left_follows_from_the_pace(clock: Clock) -> None:
    steps = StepClock()
    steps.tick("fine-tuning", 1, 11)
    assert steps.words() == "fine-tuning: step 1 of 11"  # one step says nothing about the pace
    clock.now += 8
    steps.tick("fine-tuning", 5, 11)
    assert steps.words() == "fine-tuning: step 5 of 11, 12.0 s left"  # 4 steps in 8 s, 6 to go
    assert not steps.has_ended
    steps.tick("fine-tuning", 11, 11)
    assert steps.has_ended


def test_the_next_work_of_the_same_name_begins_anew(clock: Clock) -> None:
    steps = StepClock()
    steps.tick("fine-tuning", 1, 3)
    clock.now += 50
    steps.tick("fine-tuning", 3, 3)
    steps.tick("fine-tuning", 1, 3)
    assert steps.words() == "fine-tuning: step 1 of 3"
    clock.now += 1
    steps.tick("fine-tuning", 2, 3)
    assert steps.words() == "fine-tuning: step 2 of 3, 1.0 s left"


def test_plain_lines_come_after_two_seconds_and_then_every_five(clock: Clock) -> None:
    stream = io.StringIO()
    display = PlainDisplay("title", Console(file=stream, width=200))
    for step in range(1, 15):
        display.on_progress("training", step, 20)
        clock.now += 1
    assert stream.getvalue().splitlines() == [
        "title",
        "training: step 3 of 20, 17.0 s left",
        "training: step 8 of 20, 12.0 s left",
        "training: step 13 of 20, 7.0 s left",
    ]


def test_what_the_packages_log_is_shown_while_a_display_is_open() -> None:
    stream = io.StringIO()
    logger = logging.getLogger("parefront.tasks.image_folder")
    with PlainDisplay("title", Console(file=stream, width=200)):
        logger.info("reading %d images", 7)
    logger.info("nobody listens")
    assert stream.getvalue().splitlines() == ["title", "reading 7 images"]


def test_the_time_left_says_which_limit_it_is_of() -> None:
    status = Status("search", 3, 10, 2, 0.5, None, 90.0, "last")
    stream = io.StringIO()
    display = PlainDisplay("", Console(file=stream, width=300))
    for each in (status, dataclasses.replace(status, ends_by="time limit"), dataclasses.replace(status, eta_s=None)):
        display.on_status(each)
    first, second, third = stream.getvalue().splitlines()
    assert first.endswith(" · 1 min 30 s left")
    assert second.endswith(" · 1 min 30 s left (time limit)")
    assert "left" not in third


def test_with_verbose_all_that_is_logged_is_shown_with_its_time() -> None:
    shown: dict[bool, list[str]] = {}
    logger = logging.getLogger("parefront.search.any")
    for is_verbose in (False, True):
        stream = io.StringIO()
        with PlainDisplay("", Console(file=stream, width=200), is_verbose=is_verbose):
            logger.debug("trial-3: the full stage begins")
            logger.warning("the device is away")
        shown[is_verbose] = stream.getvalue().splitlines()
    assert shown[False] == ["the device is away"]
    times, lines = zip(*(line.split(" ", 1) for line in shown[True]), strict=True)
    assert lines == ("trial-3: the full stage begins", "the device is away")
    assert all(len(time.split(":")) == 3 for time in times)
