import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from parefront.search.clock import ENDED, Clock, Spent, processor_s, spent_before
from parefront.search.trial import Trial


def test_a_clock_counts_from_when_it_was_made_and_adds_what_was_before() -> None:
    wall, cpu = iter([100.0, 130.0]), iter([7.0, 12.0])
    clock = Clock(lambda: next(wall), lambda: next(cpu), Spent(60.0, 90.0))
    assert clock.spent() == Spent(90.0, 95.0)


def test_processor_time_is_not_looked_up_for_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, read = [0.0], iter([7.0, 9.0, 11.0])
    monkeypatch.setattr("parefront.search.clock.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("parefront.search.clock.processor_s", lambda: next(read))
    clock = Clock(lambda: 0.0)
    for now_s[0], expected in ((0.1, 0.0), (0.6, 2.0), (1.0, 2.0), (1.2, 4.0)):
        assert clock.spent().cpu_s == expected


def test_processors_kept_busy() -> None:
    assert Spent(10, 25).n_busy == 2.5
    assert Spent(0, 0).n_busy == 1  # nothing known yet


def test_a_killed_session_counts_as_far_as_its_trials_say(make_trial: Callable[..., Trial]) -> None:
    trials = [
        make_trial(0, {}, 0.0),
        replace(make_trial(1, {"prune/a": 8}, 1.0), details={ENDED: {"wall_s": 40.0, "cpu_s": 70.0}}),
    ]
    assert spent_before({}, []) == Spent(0, 0)
    assert spent_before({"seconds": {"total": 30.0}, "cpu_seconds": 50.0}, trials) == Spent(40, 70)
    assert spent_before({"seconds": {"total": 45.0}, "cpu_seconds": 75.0}, trials) == Spent(45, 75)


def test_own_processor_time_counts() -> None:
    before = processor_s()
    started = time.process_time()
    while time.process_time() - started < 0.1:
        pass
    assert processor_s() - before >= 0.08


def test_a_running_childs_processor_time_counts() -> None:
    before = processor_s()
    work = "import time, sys\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        assert processor_s() - before >= 0.25  # /proc counts in ticks of 10 ms
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
    assert processor_s() - before >= 0.25  # once it has ended, too


def test_children_are_found_by_their_parents(tmp_path: Path) -> None:
    own = os.getpid()
    # PID, name, state, parent, ten fields, then user, system, children's user and system ticks.
    for process, name, parent, ticks in (
        (own, "me", 1, "999 999 999 999"),
        (own + 1, "a (strange) name", own, "10 20 30 40"),
        (own + 2, "grandchild", own + 1, "1 2 3 4"),
        (own + 3, "stranger", 1, "500 500 500 500"),
    ):
        folder = tmp_path / str(process)
        folder.mkdir()
        (folder / "stat").write_text(f"{process} ({name}) S {parent} 0 0 0 0 0 0 0 0 0 {ticks} 0 0")
    (tmp_path / "77777777").mkdir()  # ended since it was listed
    times = os.times()
    known = times.user + times.system + times.children_user + times.children_system
    assert processor_s(tmp_path) - known == pytest.approx(110 / os.sysconf("SC_CLK_TCK"), abs=0.05)
