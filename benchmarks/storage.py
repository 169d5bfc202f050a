"""Everything about storage: k-means, Deep Compression of the LeNets, the demo's front, the `.pare` file.

    python -m benchmarks.storage [--only SECTION ...] [--quick] [--out FILE]

SECTIONS

Prints a table per section, and as its last line one JSON object, which is also written to
`benchmarks/results/storage.json`: with `--only` the other sections stay there as they were, with `--quick` nothing is
written. Times are CPU seconds of one core.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import storage_front, storage_kmeans, storage_lenet, storage_pare

RESULTS = Path(__file__).parent / "results" / "storage.json"
Section = Callable[[bool], dict[str, Any]]
"""(whether it is to be quick) → its figures."""


def _kmeans(is_quick: bool) -> dict[str, Any]:
    return dict(storage_kmeans.run(quick=is_quick))


def _lenet(is_quick: bool) -> dict[str, Any]:
    return storage_lenet.run(n_seeds=1 if is_quick else 3)


def _front(is_quick: bool) -> dict[str, Any]:
    return storage_front.run(storage_front.QUICK_TASK, storage_front.N_QUICK) if is_quick else storage_front.run()


def _pare(is_quick: bool) -> dict[str, Any]:
    return storage_pare.run(500, 512, 3) if is_quick else storage_pare.run()


SECTIONS: Mapping[str, tuple[str, Section]] = {
    "kmeans": ("k-means of 4096 x 4096 weights beside scikit-learn; 2 CPU minutes", _kmeans),
    "lenet": ("LeNet-300-100 and LeNet-5: how much smaller at no loss; 10 CPU minutes", _lenet),
    "front": ("the demo's network: stored size against accuracy, with and without zeros and codes; 25 minutes", _front),
    "pare": ("the .pare file: speed, codes, 10,000 damaged files; 3 CPU minutes", _pare),
}


def main() -> None:
    """Runs the sections and writes what they found."""
    listed = "\n".join(f"    {name:<8}{what}" for name, (what, _) in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").replace("SECTIONS", listed), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small, for a look")
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), metavar="SECTION", help="these sections only")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    out = arguments.out or (None if arguments.quick else RESULTS)
    figures: dict[str, Any] = json.loads(out.read_text()) if arguments.only and out and out.exists() else {}
    for name in arguments.only or SECTIONS:
        what, measure = SECTIONS[name]
        print(f"== {name}: {what}", flush=True)
        figures[name] = measure(arguments.quick)
        if out:  # after each, as some take long
            out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
