"""How quickly results can be looked at.

`load` of a run of 10,000 trials takes at most a second; the report of 1,000 trials is at most 6 MB and can be used
within 2 s (`results_speed_report`); the dashboard shows 50 runs within 2 s and a new trial beside 10,000 within 300 ms
(`results_speed_dashboard`).

Processor seconds of one thread are counted, so a busy machine disturbs little; the median of the rounds is reported.

    python -m benchmarks.results_speed [--rounds 5] [--trials 10000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.results_speed_dashboard import dashboard_figures
from benchmarks.results_speed_report import report_figures
from benchmarks.synthetic_run import write_run
from parefront.results import load

RESULTS = Path(__file__).parent / "results" / "results_speed.json"
MOST_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="one round, nothing written")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    figures = load_figures(arguments.trials, rounds) | report_figures(rounds) | dashboard_figures(rounds)
    print(json.dumps(figures, indent=2))
    if not arguments.quick and arguments.trials == 10_000:
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def load_figures(n_trials: int, rounds: int) -> dict[str, object]:
    """What loading a run of so many trials takes, and what its table and its front take after that."""
    with tempfile.TemporaryDirectory(prefix="parefront-results-speed-") as folder:
        directory = write_run(Path(folder) / "run", n_trials)
        journal_mb = directory.journal.stat().st_size / 1e6
        loads = [cpu_seconds(lambda: load(directory.root)) for _ in range(rounds)]
        run = load(directory.root)
        seconds_of_table, seconds_of_front = cpu_seconds(lambda: run.table), cpu_seconds(lambda: run.front)
    assert len(run.trials) == n_trials, "every trial is read"
    return {
        "load_10000_s" if n_trials == 10_000 else f"load_{n_trials}_s": round(statistics.median(loads), 3),
        "most_s": MOST_S,
        "rounds_s": [round(each, 3) for each in loads],
        "journal_mb": round(journal_mb, 1),
        "table_s": round(seconds_of_table, 3),
        "front_s": round(seconds_of_front, 3),
    }


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
