"""What searches on many workers cost and gain: overhead, utilisation, speed-up, and what a storm of faults leaves.

    python -m benchmarks.cluster [--quick] [--only NAME ...] [--folder DIR] [--cpu-clock] [--out FILE]

Parts, by name; each is written to the results as soon as it is there, and `--only` renews some of them:

- `overhead`: a search whose evaluations are a formula, on 2 Ray workers. **`overhead_ms`**: wall time per trial, with
  that of the record's fsync; **`driver_ms`**: processor time of the driver per trial. Both with random proposals, and
  with ours (`_tables`), which are computed and not drawn. **`tune_ms`**, `tune_driver_ms`: a function that does nothing
  as a trial of Ray Tune, on the same Ray.
- `utilisation`: **`utilisation_1000`** (ours) and `utilisation_1000_random`: the busy share of 1,000 simulated workers
  until no candidate is left to begin, in a search of 10,000 candidates by the real engine with its record on disk. A
  trial takes 30 s in the median (log-normal), a tenth of it before its training. The clock is simulated, but while the
  driver computes, it runs as the real one does: a slow driver is seen as idle workers. The share to the last trial's
  end stands beside it, and what a driver that takes no time would have; so do the milliseconds of the driver per trial.
- `speedup`: **`speedup_2_workers`**: trials per minute of 2 workers over those of 1, one core each, in a search of
  random candidates that are all trained; **`latency_spearman`**: rank correlation of the latencies of the same
  configurations, measured beside trainings and with nothing beside them. Needs two idle cores for ten minutes.
- `storm`: 200 candidates of 0.2 s each on 2 workers, of which a random one is killed every 3 s on average, while the
  driver is killed three times and started again. **`lost`**: candidates that have neither ended well nor with a reason;
  **`duplicated`**: those that were recorded twice; **`is_same_front`**: whether the front is that of the same search
  without a storm, configurations and scores; `n_vanished`: trials that a kill took out of the record.

Prints the figures as its last line and writes `benchmarks/results/cluster.json` (with `--quick` only what `--out`
names). Times mean something on an idle machine only; with `--cpu-clock` the simulated workers wait for the driver's
processor time instead of its wall time, so that other programs on the machine do not count.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.search_quality_figures import Figures

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "cluster.json"
LIBRARIES = ("parefront", "ray", "optuna", "torch")


def main() -> None:
    """Runs the parts asked for, and prints all figures as its last line."""
    arguments = _arguments()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    out = arguments.out or (None if arguments.quick else RESULTS)
    figures: Figures = json.loads(out.read_text()) if out and out.is_file() else {}
    for name in arguments.only:
        began = time.perf_counter()
        found = PARTS[name](arguments)
        found[f"{name}_s"] = round(time.perf_counter() - began, 1)
        print(name, json.dumps(found), flush=True)
        figures |= {**found, "versions": {library: importlib.metadata.version(library) for library in LIBRARIES}}
        if out:
            out.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    print(json.dumps(figures))


def _overhead(arguments: argparse.Namespace) -> Figures:
    from benchmarks.cluster_overhead import overhead_figures

    return overhead_figures(60, 10) if arguments.quick else overhead_figures()


def _utilisation(arguments: argparse.Namespace) -> Figures:
    from benchmarks.cluster_utilisation import N_TRIALS, N_WORKERS, SAMPLERS, utilisation_figures

    sizes = (100, 500) if arguments.quick else (N_WORKERS, N_TRIALS)
    real = time.process_time if arguments.cpu_clock else time.perf_counter
    figures: Figures = {"utilisation_clock": "processor" if arguments.cpu_clock else "wall"}
    for sampler, suffix in zip(SAMPLERS, ("", f"_{SAMPLERS[1]}"), strict=True):
        found = utilisation_figures(sampler, *sizes, real=real)
        figures[f"utilisation_{sizes[0]}{suffix}"] = found.pop("utilisation")
        figures[f"utilisation_details{suffix}"] = found
    return figures


def _speedup(arguments: argparse.Namespace) -> Figures:
    from benchmarks.cluster_speedup import speedup_figures

    folder = arguments.folder / "speedup"
    return speedup_figures(folder / "quick", "digits", n_trials=6) if arguments.quick else speedup_figures(folder)


def _storm(arguments: argparse.Namespace) -> Figures:
    from benchmarks.cluster_storm import storm_figures

    return storm_figures(40, 1) if arguments.quick else storm_figures()


PARTS: Mapping[str, Callable[[argparse.Namespace], Figures]] = {
    "overhead": _overhead,
    "utilisation": _utilisation,
    "storm": _storm,
    "speedup": _speedup,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes; not written to the results")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=list(PARTS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "cluster", help="of real runs")
    parser.add_argument("--cpu-clock", action="store_true", help="simulated workers wait for processor time only")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
