"""How accuracy is won back, each way beside its alternative, on two tasks made from scikit-learn's bundled digits.

    python -m benchmarks.recovery [--quick] [--only SECTION ...] [--journal FILE] [--out FILE]

Every measurement is appended to the journal, a file of one JSON object a line, as soon as it is there; started again,
the benchmark goes on with those that are missing. Prints a table per section, and as its last line one JSON object,
which is also written to `benchmarks/results/recovery.json` (with `--quick` or `--only`, only to `--out`).

All accuracies are percent on the validation split, as defaults are chosen by them. Seeds order the batches of the
fine-tunes; the baseline of a task is the same in all of them. Where a section says "full recipe" it is a quarter of
that of `cluttered-digits` (all of it on `digits`, which is small), but for the rungs, which are about the recipes.
`std` is the standard deviation over the seeds. Times are of this process: compare them only from a machine that was
otherwise idle.

Sections:

SECTIONS
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    recovery_cheaper,
    recovery_distillation,
    recovery_linearisation,
    recovery_low_bits,
    recovery_rungs,
)
from benchmarks.recovery_bench import FULL, PROFILE, QUICK, Bench, Effort, Figures, Journal
from parefront.hardware_profiles import fingerprint

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "recovery.json"


@dataclass(frozen=True)
class Section:
    """One question.

    Attributes:
        measure: Gives its figures on one task.
        minutes: In full, all tasks and seeds, on two idle cores; estimated.
        asks: What.
    """

    measure: Callable[[Bench, Effort, Journal], Figures]
    minutes: float
    asks: str


SECTIONS: Mapping[str, Section] = {
    "distillation": Section(
        recovery_distillation.measure, 10, "distillation against the plain fine-tune at equal steps, by level"
    ),
    "low-bits": Section(
        recovery_low_bits.measure, 30, "training through the rounding at 8, 4, 2, 1 bits against plain rounding"
    ),
    "linearisation": Section(
        recovery_linearisation.measure, 30, "λ sweep: depth against accuracy, degree from 20 and 32 layers, scratch"
    ),
    "freezeout": Section(recovery_cheaper.measure_freezeout, 8, "time saved and accuracy lost by freezing layers"),
    "segment": Section(recovery_cheaper.measure_segment, 4, "the same by training the changed segment only"),
    "snapshots": Section(recovery_cheaper.measure_snapshots, 10, "ensemble against best member, and as teacher"),
    "inheritance": Section(recovery_cheaper.measure_inheritance, 10, "steps saved by starting from a parent's weights"),
    "rungs": Section(
        recovery_rungs.measure, 45, "one-shot against short and full accuracy of 30 random configurations"
    ),
}


def print_section(name: str, task: str, figures: Figures) -> None:
    """The figures for people."""
    print(f"\n{name}, {task}")
    _print_lines(figures, 1)


def _print_lines(figures: Mapping[str, Any], depth: int) -> None:
    for key, value in figures.items():
        if isinstance(value, dict) and "mean" in value:
            print(f"{'  ' * depth}{key:<36}{value['mean']:>10} ± {value['std']} (n {value['n']})")
        elif isinstance(value, dict):
            print(f"{'  ' * depth}{key}")
            _print_lines(value, depth + 1)
        else:
            print(f"{'  ' * depth}{key:<36}{value!s:>10}")


def describe_sections() -> str:
    """One line each, for the help."""
    return "\n".join(f"- {name} (about {each.minutes:g} min): {each.asks}" for name, each in SECTIONS.items())


def main() -> None:
    """Measures, prints, and as the last line the JSON object."""
    description = (__doc__ or "").replace("SECTIONS", describe_sections())
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, shorter trainings, fewer levels")
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), metavar="SECTION", help="these sections only")
    parser.add_argument("--journal", type=Path, help="the file of measurements (default: beside the results)")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    started, effort = time.perf_counter(), QUICK if arguments.quick else FULL
    chosen = arguments.only or list(SECTIONS)
    # One of its own, as a quick measurement must not be taken for a full one.
    name = "recovery-quick.jsonl" if arguments.quick else "recovery.jsonl"
    journal = Journal(arguments.journal or RESULTS.with_name(name))
    benches = {task: Bench(task, share) for task, share in effort.tasks.items()}
    figures: Figures = {}
    for name in chosen:
        print(f"{name}: about {SECTIONS[name].minutes:g} min in full", flush=True)
        figures[name] = {task: SECTIONS[name].measure(bench, effort, journal) for task, bench in benches.items()}
        for task, found in figures[name].items():
            print_section(name, task, found)
    figures |= {
        "is_quick": arguments.quick,
        "seeds": list(effort.seeds),
        "shares_of_the_full_recipe": dict(effort.tasks),
        "seconds": round(time.perf_counter() - started, 1),
        "threads": torch.get_num_threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "torchvision")},
        "machine": asdict(fingerprint(PROFILE)),
    }
    out = arguments.out or (None if arguments.quick or arguments.only else RESULTS)
    if out:
        out.write_text(json.dumps(figures) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
