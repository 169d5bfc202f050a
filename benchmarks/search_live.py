"""What the structure-first cut and the lower rung save of real searches with training, and how others do beside ours.

    python -m benchmarks.search_live [--quick] [--task NAME] [--hardware NAME] [--trials N] [--seeds N]
        [--variants NAME ...] [--folder DIR] [--report] [--out FILE]

Every run is a search as `parefront search` does it, without final members, repeated measurements and stored tables, in
`DIR/TASK/VARIANT-TRIALS-SEED` (default: runs/search-live). A finished run is not done again; a stopped one goes on.
All variants have the same task, seeds and number of candidates, failed and closed ones counted:

- `cut+rungs`: the cut, and the short fine-tune for the most promising third of the candidates only.
- `cut`: the cut; every candidate that it leaves gets the short fine-tune.
- `weights`, `segment`: the cut, and a candidate with a trained relative starts from its weights (`--inherit`).
- `plain`: every candidate gets it.
- `tpe`, `nsga2`: `plain` with Optuna's samplers instead of ours, told the floor of the accuracy's axis and begun with
  the ladder of uniform configurations. No cut: they would learn nothing of what it closes.

Scores are the hypervolume of the short front in the box of the objectives, and what it took until then: seconds of
training, of all stages, and the number of short fine-tunes, the baseline's not counted. Figures:

- **`training_time_ratio`**: seconds of training until `cut+rungs` has the final hypervolume of `plain` of the same
  seed, over what `plain` took to it; where it never has, the same for the highest hypervolume that both reach
  (`n_reached` counts the seeds where it has). Mean and deviation over the seeds; `_95` at 95 % of that hypervolume.
  `fine_tunes_ratio` and `all_time_ratio` are the same in other units; seconds compare only from an idle machine.
- **`volume_over_best_other`**, **`evals_to_match_best_other`**: `plain` beside the best of `tpe` and `nsga2` at
  equal evaluations: ratio of the final hypervolumes, and evaluations until ours is as high as its final one.

Prints tables, writes `benchmarks/results/search_live.json` (with `--quick`, another task or only some variants only
what `--out` names), and prints the figures as its last line. With the defaults it takes hours.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.search_live_figures import (
    Figures,
    LiveRun,
    against_others,
    against_plain,
    as_run,
    curve_figures,
    variant_figures,
)
from parefront.evaluators import Inheritance
from parefront.hardware_profiles import HardwareProfile, fingerprint, load_profile
from parefront.search import RunDirectory, Trial, read_trials
from parefront.search.session import run_search
from parefront.search.settings import OWN_SAMPLER, SearchSettings
from parefront.tasks import Task, load_task

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "search_live.json"
TASK, QUICK_TASK, HARDWARE = "cluttered-digits", "digits", "cpu-ort-1t"
LIBRARIES = ("parefront", "optuna", "torch", "onnxruntime")


@dataclass(frozen=True)
class Variant:
    """One way to search.

    Attributes:
        has_cut: Whether candidates may be closed before any training.
        has_rung: Whether only a third of the candidates gets the short fine-tune.
        sampler: Ours, or one of Optuna's.
        inheritance: What the short fine-tune takes over from other candidates.
    """

    has_cut: bool = False
    has_rung: bool = False
    sampler: str = OWN_SAMPLER
    inheritance: Inheritance = Inheritance.NONE

    def settings(self, n_trials: int, seed: int) -> SearchSettings:
        """Of a run with so many candidates."""
        return SearchSettings(
            n_trials,
            0,
            seed,
            self.sampler,
            n_short=max(1, round(n_trials / 3)) if self.has_rung else None,
            n_repeats=0,
            has_stored_tables=False,
            inheritance=self.inheritance,
            has_cut=self.has_cut,
            has_ladder=self.sampler != OWN_SAMPLER,
        )


FULL, CUT, PLAIN = "cut+rungs", "cut", "plain"
HEIRS = ("weights", "segment")
OTHERS = ("tpe", "nsga2")
VARIANTS: Mapping[str, Variant] = {
    FULL: Variant(has_cut=True, has_rung=True),
    CUT: Variant(has_cut=True),
    **{name: Variant(has_cut=True, inheritance=Inheritance(name)) for name in HEIRS},
    PLAIN: Variant(),
    **{name: Variant(sampler=name) for name in OTHERS},
}


def main() -> None:
    """Runs what is missing, prints tables, and as its last line the figures."""
    arguments = _arguments()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    task, profile = load_task(arguments.task), load_profile(arguments.hardware)
    n_trials, folder = arguments.trials, arguments.folder / task.name
    wanted = [(name, seed) for seed in range(arguments.seeds) for name in arguments.variants]
    runs: list[LiveRun] = []
    for position, (name, seed) in enumerate(wanted, start=1):
        directory = directory_of(folder, name, n_trials, seed)
        if arguments.report and not is_finished(directory):
            continue
        runs.append(as_run(name, seed, searched(task, profile, VARIANTS[name].settings(n_trials, seed), directory)))
        print(f"[{position}/{len(wanted)}] {describe(runs[-1])}", flush=True)
    figures = report(runs, n_trials) | {
        "task": task.name,
        "n_trials": n_trials,
        "n_seeds": arguments.seeds,
        "threads": torch.get_num_threads(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "machine": asdict(fingerprint(profile)),
    }
    print_tables(figures)
    is_whole = not arguments.quick and task.name == TASK and len(runs) == len(VARIANTS) * arguments.seeds
    out = arguments.out or (RESULTS if is_whole else None)
    if out:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps({name: value for name, value in figures.items() if name != "curves"}))


def directory_of(folder: Path, variant: str, n_trials: int, seed: int) -> RunDirectory:
    """Where a run is kept: each number of trials has its own, as rounds of promotion depend on it."""
    return RunDirectory(folder / f"{variant}-{n_trials}-{seed}")


def is_finished(directory: RunDirectory) -> bool:
    """Whether a run came to its end."""
    return (directory.read_manifest() or {}).get("status") == "finished"


def searched(task: Task, profile: HardwareProfile, settings: SearchSettings, directory: RunDirectory) -> list[Trial]:
    """The trials of a run, which is begun, gone on with or read."""
    if is_finished(directory):
        return read_trials(directory.journal)
    return run_search(task, profile, settings, directory, on_status=lambda status: None)


def describe(run: LiveRun) -> str:
    """One line about a run."""
    end = run.end
    more = f"{run.n_closed} closed, {end.n_trained} fine-tunes, {end.train_s:.0f} of {end.all_s:.0f} s training"
    return f"{run.variant}, seed {run.seed}: {end.volume:.4f} after {end.n_evaluations} evaluations, {more}"


def report(runs: Sequence[LiveRun], n_trials: int) -> Figures:
    """All figures; None where what they need was not run."""
    savings = {name: against_plain(runs, name, PLAIN) for name in (FULL, CUT, *HEIRS)}
    others = {name: against_others(runs, name, OTHERS, n_trials) for name in (PLAIN, CUT)}
    main_saving, main_other = savings[FULL] or {}, others[PLAIN] or {}
    return {
        **{name: main_saving.get(name) for name in ("training_time_ratio", "training_time_ratio_95", "n_reached")},
        **{name: main_other.get(name) for name in ("volume_over_best_other", "evals_to_match_best_other")},
        "variants": {name: found for name in VARIANTS if (found := variant_figures(runs, name, n_trials))},
        "against_plain": savings,
        "against_others": others,
        "curves": {f"{run.variant}, seed {run.seed}": curve_figures(run) for run in runs},
    }


def print_tables(figures: Figures) -> None:
    """The figures for people."""
    for section in ("variants", "against_plain", "against_others"):
        for name, found in figures[section].items():
            print(f"\n{section.replace('_', ' ')}: {name}")
            for key, value in (found or {"nothing": "not run"}).items():
                is_spread = isinstance(value, dict)
                text = f"{value['mean']} ± {value['std']} (n {value['n']})" if is_spread else str(value)
                print(f"  {key:<28}{text:>28}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TASK}, 12 trials, one seed; no results written")
    parser.add_argument("--task", help=f"name or file (default: {TASK})")
    parser.add_argument("--hardware", default=HARDWARE, help="profile")
    parser.add_argument("--trials", type=int, help="candidates of every run (default: 60)")
    parser.add_argument("--seeds", type=int, help="runs of every variant (default: 5)")
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "search-live", help="of the runs")
    parser.add_argument("--report", action="store_true", help="run nothing; only what is finished counts")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    arguments = parser.parse_args()
    task, n_trials, n_seeds = (QUICK_TASK, 12, 1) if arguments.quick else (TASK, 60, 5)
    arguments.task = arguments.task or task
    arguments.trials = n_trials if arguments.trials is None else arguments.trials
    arguments.seeds = n_seeds if arguments.seeds is None else arguments.seeds
    return arguments


if __name__ == "__main__":
    main()
