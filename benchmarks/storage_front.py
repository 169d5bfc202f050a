"""Stored size against accuracy on the demo's network: storage techniques against bit-widths alone.

    python -m benchmarks.storage_front [--quick] [--folder DIR]

Two searches with the objectives accuracy and stored size, of the same seed, through the whole program, final members
with their full fine-tune: one may choose the bits that layers are executed in, the other also how many weights are zero
and the codes that the rest is stored in. The first gets 60 candidates, of which most are closed untrained, the other 24
and 5 final members. A finished search is read, not run again.

`beats_at_every_size`: whether, at the stored size of each final member of the bit-widths' front, the other front has a
member that is no larger and no less accurate. Accuracies are those on validation, by which fronts are made; the test
split's stand beside.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parefront.hardware_profiles import load_profile
from parefront.results.findings import Findings
from parefront.search import RunDirectory, Trial
from parefront.search.goals import parse_goals
from parefront.search.journal import read_trials
from parefront.search.session import run_search
from parefront.search.settings import SearchSettings
from parefront.search.status import Status
from parefront.spaces import CompressionOptions
from parefront.tasks import load_task

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "runs" / "storage-front"
TASK, QUICK_TASK, HARDWARE = "cluttered-digits", "digits", "cpu-ort-1t"
GOALS = parse_goals(("accuracy", "stored"), (), [HARDWARE])
BITS, STORAGE = "bit-widths alone", "with zeros and codes"
TECHNIQUES = {BITS: ("bits",), STORAGE: ("bits", "sparsity", "code")}
N_TRIALS, N_QUICK = {BITS: 60, STORAGE: 24}, {BITS: 12, STORAGE: 12}
N_FINAL = {BITS: 8, STORAGE: 5}


def run(
    task: str = TASK, n_trials: Mapping[str, int] = N_TRIALS, folder: Path = FOLDER, seed: int = 0
) -> dict[str, Any]:
    """Both searches, and how their fronts compare."""
    members = {
        name: [_figures(trial) for trial in searched(task, name, n_trials[name], seed, folder / task)]
        for name in TECHNIQUES
    }
    return {
        "task": task,
        "n_trials": dict(n_trials),
        "seed": seed,
        "fronts": members,
        **compared(members[BITS], members[STORAGE]),
    }


def searched(task: str, name: str, n_trials: int, seed: int, folder: Path) -> list[Trial]:
    """The final front of one search, the uncompressed network among its members, from large to small."""
    only = TECHNIQUES[name]
    directory = RunDirectory(folder / f"{'-'.join(only)}-{n_trials}-{seed}")
    if (directory.read_manifest() or {}).get("status") == "finished":
        trials = read_trials(directory.journal)
    else:
        options = CompressionOptions(has_stored=True, only=only)
        settings = SearchSettings(
            n_trials, N_FINAL[name], seed, options=options, goals=GOALS, n_repeats=0, has_stored_tables=False
        )
        trials = run_search(load_task(task), load_profile(HARDWARE), settings, directory, on_status=_tell)
    findings = Findings(trials, GOALS)
    assert findings.baseline is not None, "a search begins with it"
    members = {each.number: each for each in (*findings.front, findings.baseline)}
    return sorted(members.values(), key=lambda trial: -trial.value("stored_bytes"))


def compared(few: Sequence[Mapping[str, float]], many: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """At the size of each member of one front, what the other has that is no larger."""
    rows = []
    for member in few:
        rivals = [each for each in many if each["stored_bytes"] <= member["stored_bytes"]]
        best = max(rivals, key=lambda each: each["accuracy"], default=None)
        rows.append(
            {
                "stored_bytes": member["stored_bytes"],
                "accuracy": member["accuracy"],
                "rival": best,
                "is_beaten": best is not None and best["accuracy"] >= member["accuracy"],
            }
        )
    smallest = min(each["stored_bytes"] for each in few)
    return {
        "at_each_size": rows,
        "beats_at_every_size": all(row["is_beaten"] for row in rows),
        "smallest_over_smallest": round(smallest / min(each["stored_bytes"] for each in many), 2),
    }


def _figures(trial: Trial) -> dict[str, float]:
    names = ("stored_bytes", "accuracy", "accuracy_drop", "test_accuracy", "test_drop", "size_bytes", "latency_ms")
    return {"trial": trial.number, **{name: round(trial.value(name), 3) for name in names if name in trial.scores}}


def _tell(status: Status) -> None:
    print(f"{status.phase} {status.n_done} of {status.n_total}: {status.last}", flush=True)


def main() -> None:
    """Prints both fronts, and as the last line the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TASK}, 12 candidates")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the runs")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    figures = run(*((QUICK_TASK, N_QUICK) if arguments.quick else (TASK, N_TRIALS)), arguments.folder)
    for name, members in figures["fronts"].items():
        print(f"\n{name}\n{'trial':>6}{'stored kB':>11}{'accuracy':>10}{'drop pt':>9}{'test drop':>11}")
        for each in members:
            print(
                f"{each['trial']:>6}{each['stored_bytes'] / 1000:>11.2f}{each['accuracy']:>10.2f}"
                f"{each['accuracy_drop']:>9.2f}{each['test_drop']:>11.2f}"
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
