"""What the gain cut would have closed of recorded searches, and what that would have saved and cost.

    python -m benchmarks.gain_cut RUN ... [--task NAME] [--hardware NAME] [--shares SHARE ...]

The runs are searches of the task that closed little, such as the variant `plain` of `benchmarks.search_live`. Their
candidates are weighed again in the same order, by what was known when each was proposed; those that were closed in the
run itself are passed over. What would have been closed teaches the surrogate all the same, as nobody knows what would
have been proposed in its place: so the figures compare ways to weigh, and are no forecast of a search.

For every share that a candidate must promise, over the runs: the share of the seconds of training that would have been
saved, and of the hypervolume that would have been lost, counted from the fourth candidate on: before it nothing can be
foretold. Prints a table, and the means as the last line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from parefront.evaluators import CostTables, Workbench
from parefront.hardware_profiles import load_profile
from parefront.search import Fidelity, RunDirectory, State, Trial, read_trials
from parefront.search.drop_forecasts import FORETOLD
from parefront.search.gain_cut import LEAST_SHARE, PROMISED, GainCut
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.proposer import TableProposer
from parefront.search.running_front import RunningHypervolume
from parefront.search.tables import FILE, read_tables
from parefront.search.training_times import trained_s
from parefront.spaces import SearchSpace
from parefront.tasks import load_task

SHARES = (0.1, 0.2, LEAST_SHARE, 0.5)
N_UNKNOWN = 3


def main() -> None:
    """Replays every run with every share."""
    arguments = _arguments()
    work = arguments.runs[0] / "artefacts"
    bench = Workbench(load_task(arguments.task), load_profile(arguments.hardware), work, seed=0)
    space = bench.space
    bench.close()
    figures = {}
    for share in arguments.shares:
        found = [replayed(run, space, share) for run in arguments.runs]
        saved, lost = (fmean(column) for column in zip(*found, strict=True))
        figures[f"{share:g}"] = {"saved": round(saved, 2), "lost": round(lost, 2)}
        each = "  ".join(f"{one:.2f} / {other:.2f}" for one, other in found)
        print(f"share {share:<5g} saved {saved:.2f}, lost {lost:.2f}:  {each}", flush=True)
    print(json.dumps({"n_runs": len(arguments.runs), "by_share": figures}))


def replayed(run: Path, space: SearchSpace, share: float) -> tuple[float, float]:
    """Shares of the seconds of training saved, and of the hypervolume lost, of one run."""
    directory = RunDirectory(run)
    tables = read_tables(run / FILE)
    proposer = TableProposer(space, CostTables(space), tables.damages, 0, divergences=tables.divergences or None)
    trials = [trial for trial in read_trials(directory.journal) if trial.state is not State.DOMINATED]
    volumes = RunningHypervolume(trials, Fidelity.SHORT, DEFAULT_GOALS)
    added = [max(0.0, volumes.after(k + 1) - volumes.after(k)) for k in range(len(trials))]
    weighed: list[Trial] = []
    cut = GainCut(weighed, proposer, DEFAULT_GOALS, share)
    closed = []
    for position, trial in enumerate(trials):
        told = trial
        if trial.is_candidate(Fidelity.SHORT) and trial.state is State.COMPLETE:
            verdict = cut.weigh(trial.configuration, trial.scores)
            details = {**trial.details, FORETOLD: proposer.foretold(trial.configuration), PROMISED: verdict.promised}
            told = replace(trial, details={name: fact for name, fact in details.items() if fact is not None})
            if verdict.reason:
                closed.append(position)
        weighed.append(replace(told, state=State.DOMINATED, seconds={}) if position in closed else told)
        proposer.tell(told)
    seconds = [trained_s(trial) if trial.is_candidate(Fidelity.SHORT) else 0.0 for trial in trials]
    return _share_of(closed, seconds), _share_of(closed, _late(trials, added))


def _late(trials: Sequence[Trial], added: Sequence[float]) -> list[float]:
    """What each trial added, 0 for the first candidates."""
    first = [k for k, trial in enumerate(trials) if trial.is_candidate(Fidelity.SHORT)][:N_UNKNOWN]
    return [0.0 if k in first else each for k, each in enumerate(added)]


def _share_of(positions: Sequence[int], values: Sequence[float]) -> float:
    return sum(values[k] for k in positions) / (sum(values) or 1.0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run directories")
    parser.add_argument("--task", default="cluttered-digits", help="name or file")
    parser.add_argument("--hardware", default="cpu-ort-1t", help="profile")
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES, metavar="SHARE", help="to try")
    return parser.parse_args()


if __name__ == "__main__":
    main()
