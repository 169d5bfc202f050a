"""A process that ends with the one that started it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from parefront.search import end_with_parent
from parefront.search.process_identity import is_alive, start_of

SCRIPT = end_with_parent.__file__
SLEEP = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_what_a_killed_process_started_is_killed_too() -> None:
    start = (
        f"import os, subprocess; p = subprocess.Popen([{sys.executable!r}, {SCRIPT!r}, str(os.getpid()), *{SLEEP!r}])"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{start}; print(p.pid, flush=True); p.wait()"], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
    child = int((lines - {b"ready"}).pop())
    began = start_of(child)
    assert is_alive(child, began)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while is_alive(child, began) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child, began)
    parent.stdout.close()


def test_it_becomes_the_command_and_passes_its_status_on() -> None:
    line = [sys.executable, SCRIPT, str(os.getpid()), sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(line, check=False).returncode == 7


SHOW = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, {}), signal.getsignal(signal.SIGINT).__name__)"
DEAF = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, sys.argv[1], str(os.getppid()), sys.executable, "-c", sys.argv[2]])
"""


def test_it_hears_ctrl_c_even_where_its_parent_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", DEAF, SCRIPT, SHOW], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "default_int_handler"]


def test_it_does_not_begin_where_the_parent_has_ended() -> None:
    line = [sys.executable, SCRIPT, "1", sys.executable, "-c", "print('begun')"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has ended" in done.stderr
