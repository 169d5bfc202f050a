"""Runs or resumes a sweep of fake searches in a process of its own, which a test may kill: OUT ADDRESS."""

import sys
from pathlib import Path

from parefront.search.sweep import run_sweep
from parefront.search.sweep_directory import SweepDirectory

FAKE = [sys.executable, str(Path(__file__).with_name("fake_search.py"))]


def main(root: Path, address: str) -> None:
    directory = SweepDirectory(root)
    run_sweep(directory.read_plan(), directory, FAKE, address=address)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
