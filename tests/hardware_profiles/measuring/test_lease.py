import subprocess
import sys
from pathlib import Path

import pytest

from parefront.hardware_profiles import CoreLease, MeasurementError, wait_while_measured


def test_overlapping_sets_exclude_each_other(tmp_path: Path) -> None:
    with CoreLease([0, 1], folder=tmp_path) as held:
        assert held.is_held
        other = CoreLease([1, 2], timeout_s=0.05, folder=tmp_path)
        with pytest.raises(MeasurementError, match=r"core 1 must be free .* 0.05 s"):
            other.acquire()
        assert not other.is_held
        with CoreLease([2], timeout_s=0.05, folder=tmp_path):
            pass
    assert not held.is_held
    with CoreLease([1, 2], timeout_s=0.05, folder=tmp_path) as other:
        assert other.is_held


def test_acquiring_and_releasing_twice_does_nothing(tmp_path: Path) -> None:
    lease = CoreLease([0], timeout_s=0.05, folder=tmp_path)
    lease.acquire()
    lease.acquire()
    lease.release()
    lease.release()
    assert not lease.is_held


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from parefront.hardware_profiles import CoreLease; "
        "CoreLease([0], folder=Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(MeasurementError):
            CoreLease([0], timeout_s=0.05, folder=tmp_path).acquire()
        holder.kill()
        holder.wait()
        with CoreLease([0], timeout_s=5.0, folder=tmp_path) as lease:
            assert lease.is_held


def test_waiting_ends_when_the_holder_does(tmp_path: Path) -> None:
    wait_while_measured([0, 1], tmp_path)  # nobody ever measured
    code = (
        "import sys; from pathlib import Path; from parefront.hardware_profiles import wait_while_measured; "
        "print('begun', flush=True); wait_while_measured([0, 1], Path(sys.argv[1])); print('free', flush=True)"
    )
    with CoreLease([1], folder=tmp_path):
        waiting = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.3)
    with waiting:
        assert waiting.stdout.readline() == "free\n"
    with CoreLease([0, 1], timeout_s=0.05, folder=tmp_path) as lease:  # it took nothing
        assert lease.is_held
