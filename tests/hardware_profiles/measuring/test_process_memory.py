from pathlib import Path

import numpy as np

from parefront.hardware_profiles.measuring.process_memory import PeakMemory

MIB = 2**20


def test_what_was_taken_and_given_back_counts() -> None:
    memory = PeakMemory()
    np.ones(32 * MIB, np.uint8).sum()
    growth = memory.growth_bytes()

    assert growth is None or 31 * MIB <= growth < 64 * MIB


def test_each_starts_anew() -> None:
    np.ones(64 * MIB, np.uint8).sum()
    growth = PeakMemory().growth_bytes()

    assert growth is None or growth < 8 * MIB


def test_growth_is_the_peak_over_the_start(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmHWM:\t 900 kB\nVmRSS:\t 100 kB\n")
    assert PeakMemory(tmp_path).growth_bytes() == 800 * 1024
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert PeakMemory(tmp_path / "none").growth_bytes() is None
