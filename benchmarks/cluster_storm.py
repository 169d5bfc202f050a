"""What is left of a search whose workers and driver are killed again and again."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cluster_null import N_WORKERS, null_search, null_workers, open_executor, open_record
from benchmarks.search_quality_costs import synthetic_space
from benchmarks.search_quality_figures import Figures
from parefront.hardware_profiles import SearchError
from parefront.search import Fidelity, RunDirectory, State, Trial, front, read_trials
from parefront.search.ray_cluster import connected
from parefront.search.record import owned

ROOT = Path(__file__).resolve().parent.parent
N_TRIALS, N_DRIVER_KILLS = 200, 3
EVALUATION_S, WORKER_KILL_S = 0.2, 3.0
"""Of every accuracy; and between two kills of a worker, on average."""
POLL_S = 0.1
N_STARTS = 5
TIMEOUT_S = 1_200.0


def storm_figures(n_trials: int = N_TRIALS, n_kills: int = N_DRIVER_KILLS, seed: int = 0) -> Figures:
    """The same search undisturbed and in a storm.

    Returns:
        `lost`: candidates that ended neither well nor with a reason, and trials that were in the record before a kill
        and not after it; `duplicated`: candidates recorded more than once; `is_same_front`: whether the storm's front
        has the undisturbed one's configurations and scores, and no others.
    """
    with TemporaryDirectory() as folder:
        calm, wild = Path(folder) / "calm", Path(folder) / "wild"
        with driver(calm, n_trials) as process:
            if process.wait(TIMEOUT_S):
                raise SystemExit(f"the driver must end well, but ended with {process.returncode}")
        storm = Storm(wild, n_trials, n_kills, random.Random(seed))
        storm.run()
        before, after = (read_trials(RunDirectory(root).journal) for root in (calm, wild))
    return {**compared(before, after, n_trials), "n_vanished": storm.n_vanished, **storm.counts()}


def compared(calm: Sequence[Trial], wild: Sequence[Trial], n_trials: int) -> Figures:
    """What the storm did to the record of a search."""
    counts = Counter(trial.configuration for trial in wild if trial.configuration)
    ended = [t for t in wild if t.configuration and (t.state is State.COMPLETE or t.reason)]
    return {
        "lost": n_trials - len({trial.configuration for trial in ended}),
        "duplicated": sum(counts.values()) - len(counts),
        "failed": sum(trial.state is State.FAILED for trial in wild),
        "is_same_front": outcome(calm) == outcome(wild),
        "n_front": len(outcome(calm)),
        "is_same_set": {t.configuration for t in calm} == {t.configuration for t in wild},
    }


def outcome(trials: Sequence[Trial]) -> set[tuple[str, tuple[tuple[str, float], ...]]]:
    """The front as a set of configurations with their scores."""
    return {
        (trial.configuration.to_json(), tuple(sorted((name, score.value) for name, score in trial.scores.items())))
        for trial in front(trials, Fidelity.SHORT)
    }


class Storm:
    """Kills workers at random moments, and the driver where it has recorded its share of the trials."""

    def __init__(self, root: Path, n_trials: int, n_kills: int, rng: random.Random) -> None:
        self._root, self._n_trials, self._rng = root, n_trials, rng
        self._stops = [round(n_trials * (k + 1) / (n_kills + 1)) for k in range(n_kills)]
        self._n_driver_kills = self._n_worker_kills = 0
        self.n_vanished = 0

    def counts(self) -> Figures:
        return {"n_worker_kills": self._n_worker_kills, "n_driver_kills": self._n_driver_kills}

    def run(self) -> None:
        for n_stop in [*self._stops, None]:
            before = recorded(self._root)
            with driver(self._root, self._n_trials) as process:
                self._rage(process, n_stop)
                if n_stop is not None:
                    before = recorded(self._root)
                    kill_family(process)
                    self._n_driver_kills += 1
            self.n_vanished += len(before - recorded(self._root))

    def _rage(self, process: subprocess.Popen[bytes], n_stop: int | None) -> None:
        """Until the driver has recorded so many trials, or come to its end."""
        began_s = time.monotonic()
        next_kill_s = began_s + self._rng.expovariate(1 / WORKER_KILL_S)
        while process.poll() is None and (n_stop is None or n_lines(self._root) < n_stop):
            if time.monotonic() - began_s > TIMEOUT_S:
                raise SystemExit(f"the search must go on, but has stood still for {TIMEOUT_S:g} s")
            if time.monotonic() >= next_kill_s:
                next_kill_s = time.monotonic() + self._rng.expovariate(1 / WORKER_KILL_S)
                self._n_worker_kills += kill_one(self._root / "workers", self._rng)
            time.sleep(POLL_S)
        if process.poll():
            log = (self._root / "driver.log").read_text().splitlines()[-1:]
            raise SystemExit(f"the driver must end well, but ended with {process.returncode}: {' '.join(log)}")


def recorded(root: Path) -> set[str]:
    """The configurations in the record of a run, whole lines only."""
    journal = RunDirectory(root).journal
    return {trial.configuration.key for trial in read_trials(journal)} if journal.is_file() else set()


def n_lines(root: Path) -> int:
    """Of a run's journal: about as many as there are trials, and quickly counted."""
    journal = RunDirectory(root).journal
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def kill_one(pids: Path, rng: random.Random) -> int:
    """Kills one of the workers that have left their numbers; how many that were, 0 or 1."""
    alive = [path for path in sorted(pids.glob("*")) if Path(f"/proc/{path.name}").exists()]
    if not alive:
        return 0
    chosen = rng.choice(alive)
    chosen.unlink()
    os.kill(int(chosen.name), signal.SIGKILL)
    return 1


@contextmanager
def driver(root: Path, n_trials: int) -> Iterator[subprocess.Popen[bytes]]:
    """A search in a process of its own; whatever it leaves behind is ended with it."""
    (root / "workers").mkdir(parents=True, exist_ok=True)
    for stale in (root / "workers").iterdir():
        stale.unlink()
    command = [sys.executable, "-m", "benchmarks.cluster_storm", str(root), "--trials", str(n_trials)]
    # Ray prints a paragraph for every worker that dies.
    with (root / "driver.log").open("a") as log, subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            kill_family(process)


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kills a driver, and what its Ray has not ended itself some seconds later."""
    family = descendants(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10.0
    while (left := [each for each in family if Path(f"/proc/{each}").exists()]) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for each in left:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue


def descendants(process: int) -> set[int]:
    """All that a process started, and what these did."""
    found: set[int] = set()
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = {int(child) for child in path.read_text().split()}
        except OSError:
            continue  # it has ended since it was listed
        found |= children.union(*map(descendants, children))
    return found


def connect(stack: ExitStack) -> None:
    """Starts a Ray of its own; tried again, because it gives up after 30 s, which a busy machine may take."""
    for left in reversed(range(N_STARTS)):
        try:
            stack.enter_context(connected(null_workers(N_WORKERS), []))
            return
        except SearchError:
            if not left:
                raise


def main() -> None:
    """The driver."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--trials", type=int, required=True)
    arguments = parser.parse_args()
    directory, space = RunDirectory(arguments.root), synthetic_space()
    with owned(directory), ExitStack() as stack:
        connect(stack)
        record = open_record(directory, space)
        executor = open_executor(N_WORKERS, EVALUATION_S, arguments.root / "workers")
        try:
            null_search(record, executor, "random", arguments.trials)
        finally:
            executor.close()
    print(json.dumps({"n_trials": len(record.trials)}), file=sys.stderr)


if __name__ == "__main__":
    main()
