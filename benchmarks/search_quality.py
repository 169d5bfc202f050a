"""How good a front every search method finds per evaluation, on real response surfaces, all methods on the same ones.

    python -m benchmarks.search_quality [--quick] [--surfaces NAME ...] [--methods NAME ...] [--seeds N]
        [--evaluations N] [--jobs N] [--again NAME ...] [--folder DIR] [--ask] [--hypervolume] [--report] [--out FILE]

An evaluation is real: the configuration is applied to a small trained network, BatchNorm is re-estimated and ranges are
calibrated, the network is exported, run by ONNX Runtime on 1,024 validation images, and timed in bursts that alternate
with the uncompressed network. Nothing is trained, so it takes a tenth of a second on an idle core. What was evaluated
stands in `DIR/SURFACE.jsonl` (default: runs/search-quality) and is never evaluated again: every method meets the same
surface, measuring noise included. Finished runs stand in `DIR/journal.jsonl`; started again, the benchmark goes on.
A method whose code has changed since must be named with `--again`, which makes its runs void.

All methods run with the first seed: cold ones for 400 evaluations, the others for 200. Then ours, ours with useless
tables, and the three best of the others on each surface run with all seeds. With `--methods` (names in
`search_quality_methods.METHODS`) these run with all seeds and all evaluations, and nothing else runs. `--report` runs
nothing and works from the journal alone.

The hypervolume's box of a surface reaches from its largest drop (10 points: without a fine-tune accuracies fall fast)
at the baseline's latency and size, to no drop at 64 times faster and smaller. Scores are shares of the best known:
the hypervolume of everything that anybody ever evaluated on the surface.

- **`evals_to_match_best200`**: evaluations until our mean curve reaches what the best method off the shelf (cold, or
  begun with the ladder of uniform configurations) has after 200; the largest over the surfaces.
- **`ours50_over_cold400`**: our score after 50 evaluations over the best cold one's after 400; the least.
- **`gap200_over_seeded`**: what we leave to the best known after 200 evaluations over what the best seeded other
  method leaves, our own seeds given to it included; the largest.
- **`misled_over_best200`**: ours with flat or with shuffled tables, the worse one, over the best off the shelf; the
  least.
- **`ask_ms_1000`**, **`ask_ms_10000`** (`--ask`): a proposal of ours with so many trials told, 60 sites, 3 objectives,
  right after they were told; **`ask_warm_ms_*`**: 50 proposals later.
- **`hypervolume_s_*`** (`--hypervolume`): of fronts of 10,000 points in 2 and 3 objectives, and of 500 in 4.

Prints a table per surface, writes `benchmarks/results/search_quality.json` (with `--quick`, `--surfaces` or `--methods`
only what `--out` names) and the curves as a figure, `DIR/curves.html`, and prints the figures as its last line.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib.metadata
import json
import logging
import time
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.search_quality_costs import ask_figures, hypervolume_figures
from benchmarks.search_quality_figures import Figures, Kinds, Scores, method_figures, overall, surface_figures
from benchmarks.search_quality_methods import COLD, METHODS, MISLED, OFF_THE_SHELF, OURS, SEEDED
from benchmarks.search_quality_networks import SPECS
from benchmarks.search_quality_page import print_table, write_figure
from benchmarks.search_quality_runs import Journal, as_run, run
from benchmarks.search_quality_surface import Surface, load_surface

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "search_quality.json"
KINDS = Kinds(OURS, MISLED, COLD, OFF_THE_SHELF, SEEDED)
ASK_LIMIT_S = 5.0
"""CPU seconds per proposal beyond which a method is stopped: a search would wait for it longer than for training."""
N_BEST = 3
JOURNAL = "journal.jsonl"
LIBRARIES = ("optuna", "pymoo", "botorch", "moocore", "torch", "onnxruntime")


@dataclass(frozen=True)
class Job:
    """One run that is due."""

    surface: str
    method: str
    seed: int
    n: int
    folder: Path

    @property
    def key(self) -> tuple[str, str, int]:
        """As of the run."""
        return self.surface, self.method, self.seed


def main() -> None:
    """Runs what is missing, prints tables, and as its last line the figures."""
    arguments = _arguments()
    started = time.perf_counter()
    surfaces = arguments.surfaces or list(SPECS)
    n, n_seeds = (60, 2) if arguments.quick else (arguments.evaluations, arguments.seeds)
    journal = Journal(arguments.folder / JOURNAL)
    if arguments.again:
        journal.forget(arguments.again)
    if arguments.methods and not arguments.report:
        pairs = [(surface, method) for surface in surfaces for method in arguments.methods]
        work(journal, [Job(*p, seed, n, arguments.folder) for seed in range(n_seeds) for p in pairs], arguments.jobs)
    elif not arguments.report:
        screened = [(surface, method) for surface in surfaces for method in METHODS]
        work(journal, [Job(*pair, 0, share(pair[1], n), arguments.folder) for pair in screened], arguments.jobs)
        again = [(seed, s, m) for seed in range(1, n_seeds) for s in surfaces for m in finalists(journal, s)]
        work(journal, [Job(s, m, seed, share(m, n), arguments.folder) for seed, s, m in again], arguments.jobs)
    figures, scores = report(journal, surfaces, arguments.folder)
    figures |= ask_figures() if arguments.ask else {}
    figures |= hypervolume_figures() if arguments.hypervolume else {}
    figures |= {
        "is_quick": arguments.quick,
        "n_seeds": n_seeds,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": _versions(),
    }
    is_partial = arguments.quick or arguments.surfaces or arguments.methods
    out = arguments.out or (None if is_partial else RESULTS)
    if out:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    if scores:
        write_figure(scores, arguments.folder / "curves.html")
    print(json.dumps({name: value for name, value in figures.items() if name != "surfaces"}))


def share(method: str, n: int) -> int:
    """Evaluations of a method: all of them of a cold one, which is judged by the last, half of the others."""
    return n if method in COLD else max(1, n // 2)


def work(journal: Journal, jobs: Sequence[Job], n_processes: int) -> None:
    """Does what the journal lacks, each run in a process, in the order given."""
    known = journal.runs()
    missing = [job for job in jobs if job.key not in known or not known[job.key].is_enough(job.n)]
    # A fresh interpreter each: libraries that compute in threads do not survive a fork.
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(do, job): job for job in missing}
        for position, future in enumerate(as_completed(running), start=1):
            print(f"[{position}/{len(missing)}] {future.result()}", flush=True)


def do(job: Job) -> str:
    """One run; says in a line what came of it."""
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    name = f"{job.surface}, {job.method}, seed {job.seed}"
    started = time.perf_counter()
    surface = opened(job.surface, job.folder)
    n_before = surface.n_fresh
    try:
        trace = run(surface, METHODS[job.method], job.n, job.seed, ask_limit_s=ASK_LIMIT_S)
    except ModuleNotFoundError as error:
        return f"{name}: skipped, {error.name} is not installed"
    head_start = surface.head_start if job.method in (OURS, *MISLED) else 0.0
    finished = as_run(surface, job.method, job.n, job.seed, trace, head_start)
    Journal(job.folder / JOURNAL).add(finished)
    score = Scores([finished], surface.spec.goals.objectives.reference).best_known
    seconds = time.perf_counter() - started
    more = f", {trace.stopped}" if trace.stopped else ""
    return f"{name}: {score:.4f} ({surface.n_fresh - n_before} of {len(finished.points)} new, {seconds:.0f} s{more})"


@functools.cache
def opened(surface: str, folder: Path) -> Surface:
    """A surface, once for all runs of a process."""
    loaded = load_surface(surface, folder)
    # What is loaded stays: the collector need not look at it again at every evaluation, which makes many small objects.
    gc.collect()
    gc.freeze()
    return loaded


def finalists(journal: Journal, surface: str) -> list[str]:
    """Ours, ours misled, and the best others by their first seed; with the best off the shelf and the best cold."""
    runs = [each for each in journal.runs().values() if each.surface == surface and each.seed == 0]
    scores = Scores(runs, SPECS[surface].goals.objectives.reference)
    marks = {run.method: scores.values(run.method, min(200, len(run.points))) for run in runs}
    others = sorted(
        (name for name in marks if name in METHODS and name not in (OURS, *MISLED)),
        key=lambda name: marks[name],
        reverse=True,
    )
    best_of = [next((name for name in others if name in kind), None) for kind in (OFF_THE_SHELF, COLD, SEEDED)]
    chosen = [OURS, *MISLED, *others[:N_BEST], *(name for name in best_of if name)]
    return list(dict.fromkeys(chosen))


def report(journal: Journal, surfaces: Iterable[str], folder: Path) -> tuple[Figures, dict[str, Scores]]:
    """All figures, and the curves by surface."""
    scores: dict[str, Scores] = {}
    by_surface: dict[str, Figures] = {}
    for name in surfaces:
        runs = [each for each in journal.runs().values() if each.surface == name]
        if not runs:
            continue
        points = opened(name, folder).known_points()
        scores[name] = Scores(runs, SPECS[name].goals.objectives.reference, points)
        by_surface[name] = surface_figures(scores[name], KINDS) | {"methods": method_figures(scores[name])}
        print_table(name, by_surface[name])
    return overall(by_surface) | {"surfaces": by_surface}, scores


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 evaluations, two seeds; not written to the results")
    parser.add_argument("--surfaces", nargs="+", choices=tuple(SPECS), metavar="NAME", help=", ".join(SPECS))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), metavar="NAME", help="these, with all seeds")
    parser.add_argument("--seeds", type=int, default=5, help="of the finalists")
    parser.add_argument("--evaluations", type=int, default=400, help="of cold methods; others have half")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time; latencies get noisier with more")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "search-quality", help="surfaces and journal")
    parser.add_argument("--ask", action="store_true", help="also the time of our proposals")
    parser.add_argument("--hypervolume", action="store_true", help="also the time of the hypervolume")
    parser.add_argument(
        "--again", nargs="+", choices=tuple(METHODS), metavar="NAME", help="these have changed: forget them"
    )
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
