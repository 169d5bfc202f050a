"""Whether a noted process is still the same one, from a folder that looks like /proc and from the system's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parefront.search.process_identity import is_alive, start_of


def tell(root: Path, pid: int, state: str, start: int) -> None:
    """A line of /proc/PID/stat as proc(5) has it: 20 fields behind the name up to the start, here with odd names."""
    (root / str(pid)).mkdir()
    between = " ".join("1" for _ in range(18))
    (root / str(pid) / "stat").write_text(f"{pid} (a) b (c) {state} {between} {start} 99 99\n")


def test_the_same_number_with_another_start_is_another_process(tmp_path: Path) -> None:
    tell(tmp_path, 7, "S", 1234)
    assert start_of(7, tmp_path) == 1234
    assert is_alive(7, 1234, tmp_path)
    assert not is_alive(7, 1233, tmp_path)
    assert not is_alive(8, 0, tmp_path)
    assert start_of(8, tmp_path) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_real_process_lives_until_it_ends() -> None:
    assert is_alive(os.getpid(), start_of(os.getpid()))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        start = start_of(child.pid)
        assert is_alive(child.pid, start)
        child.kill()
    assert not is_alive(child.pid, start)
