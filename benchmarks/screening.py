"""How well latencies are predicted for screening: resnet18 at 224, random legal configurations, all in one run.

    python -m benchmarks.screening [--quick] [--out FILE] [--observations FILE]

Weights are random: what is predicted is time, not accuracy. For each kind of configuration (`one_precision`: pruned
widths in fp32; `mixed`: widths, bits, ranks and folds together) 50 are drawn and measured with the meter, each as a
ratio to a reference of its own precision class. Three predictors see the first 30 and are tested on the other 20
without learning any further. Prints a table, and as its last line one JSON object, which is also written to
`benchmarks/results/screening.json` (with `--quick`, fewer configurations, only to `--out`).

How to read it:

- **`error_*`** is the mean of |predicted / measured - 1| over the tested configurations, **`spearman_*`** their rank
  correlation. Without a suffix it is the predictor that a search screens with; `_tables` are its cost tables without
  the correction, `_macs` is a ridge regression of the latency on the MACs alone.
- **`half_width_*`** is the median half-width of the measurements' own 95 % intervals: no prediction can be shown to be
  better than that.
- **`predict_cpu_ms`** and **`observe_cpu_ms`** are medians of the CPU time of one prediction after an observation, and
  of learning from one.

With `--observations` every measurement is kept in a file, and what it holds already is not measured again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor

from parefront.evaluators.cost_tables import CostTables
from parefront.evaluators.latency_predictor import LatencyPredictor
from parefront.evaluators.ridge import Ridge
from parefront.hardware_profiles import OperatorTime, fingerprint, load_profile
from parefront.hardware_profiles.measuring.meter import Meter
from parefront.hardware_profiles.runtimes import get_runtime
from parefront.search.screening import agreement
from parefront.spaces import Configuration, Network, SearchSpace, find_space, finish, prepare, trace

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "screening.json"
PROFILE = load_profile("cpu-ort-1t")
RUNTIME = get_runtime(PROFILE.runtime.name)
SIZE = 224
KINDS = {"one_precision": ("prune",), "mixed": ("prune", "bits", "rank", "fold")}
N_FITTED, N_TESTED = 30, 20
N_QUICK = (12, 6)
MAX_PAIRS, HALF_WIDTH = 14, 0.006
REPEATS = 8

Figures = dict[str, Any]  # part of the JSON


@dataclass(frozen=True)
class Observation:
    """One measured configuration; `half_width` is that of the interval, relative to the latency."""

    kind: str
    choices: dict[str, int | str]
    operators: list[list[Any]]
    latency_ms: float
    half_width: float
    size_bytes: int


def draw(space: SearchSpace, kind: str, rng: random.Random) -> Configuration:
    """A legal configuration; how often each technique is used is drawn too, so that they range from light to heavy."""
    shares = {technique: rng.random() for technique in KINDS[kind]}
    choices = {
        site.name: rng.choice(site.choices[1:])
        for site in space.sites
        if site.technique in shares and rng.random() < shares[site.technique]
    }
    return space.canonical(choices)


class Bench:
    """Exports and measures configurations of one network."""

    def __init__(self, network: Network, space: SearchSpace, images: Tensor, folder: Path, meter: Meter) -> None:
        self._network, self._images, self._folder, self._meter = network, images, folder, meter
        int8 = {site.name: 8 for site in space.sites if site.technique == "bits" and 8 in site.choices}
        self._references = {
            False: self._export(Configuration(), "fp32.onnx")[0],
            True: self._export(space.canonical(int8), "int8.onnx")[0],
        }
        meter.anchor(self._references[False])
        # Anchored through the ratio: the two references' times then belong to the same speed of the machine.
        int8_ms = meter.measure(self._references[True], self._references[False]).latency_ms
        meter.anchor(self._references[True], int8_ms)

    def measure(self, kind: str, configuration: Configuration) -> Observation:
        """Latency against the reference of the same precision class, and the operators' times."""
        path, is_quantized = self._export(configuration, "candidate.onnx")
        operators = self._meter.profile_operators(path, REPEATS)
        reference = self._references[is_quantized]
        measured = self._meter.measure(path, reference, max_pairs=MAX_PAIRS, half_width=HALF_WIDTH)
        half_width = (measured.high_ms - measured.low_ms) / 2 / measured.latency_ms
        rows = [[t.layer, t.operator, t.precision, round(t.microseconds, 2)] for t in operators]
        size = path.stat().st_size
        return Observation(kind, dict(configuration), rows, measured.latency_ms, half_width, size)

    def _export(self, configuration: Configuration, name: str) -> tuple[Path, bool]:
        finished = finish(prepare(self._network, configuration), configuration, self._images)
        RUNTIME.export(finished.module, (self._images,), finished.plan, self._folder / name)
        return self._folder / name, bool(finished.plan.layers)


class MacsRidge:
    """The latency as a constant and a share of the MACs."""

    def __init__(self, tables: CostTables) -> None:
        self._tables, self._ridge = tables, Ridge((1e-6, 1e-6))

    def observe(self, observation: Observation) -> None:
        """Learns one, by its relative error."""
        self._ridge.add(self._row(observation.choices), observation.latency_ms, observation.latency_ms**-2)

    def latency_ms(self, choices: Mapping[str, int | str]) -> float:
        """Predicted latency."""
        return float(self._row(choices) @ self._ridge.coefficients())

    def _row(self, choices: Mapping[str, int | str]) -> np.ndarray:
        return np.array([1.0, sum(form.macs for form in self._tables.forms(choices)) / 1e9])


def compare(space: SearchSpace, kind: str, fitted: list[Observation], tested: list[Observation]) -> Figures:
    """Errors and rank correlations of the three predictors on one kind of configuration."""
    predictor, macs = LatencyPredictor(CostTables(space)), MacsRidge(CostTables(space))
    spent: dict[str, list[float]] = {"observe": [], "predict": []}
    for each in fitted:
        times = [OperatorTime(*row) for row in each.operators]
        started = time.process_time()
        predictor.observe(each.choices, times, each.latency_ms, each.size_bytes)
        learnt = time.process_time()
        predictor.latency_ms(each.choices)
        spent["observe"].append(learnt - started)
        spent["predict"].append(time.process_time() - learnt)
        macs.observe(each)
    figures: Figures = {f"{name}_cpu_ms_{kind}": round(1000 * statistics.median(s), 3) for name, s in spent.items()}
    measured = [each.latency_ms for each in tested]
    contenders = {"": predictor.latency_ms, "_tables": predictor.tables.latency_ms, "_macs": macs.latency_ms}
    for suffix, latency_ms in contenders.items():
        found = agreement([latency_ms(each.choices) for each in tested], measured)
        rank = found.rank_correlation
        figures[f"error_{kind}{suffix}"] = round(found.mean_error, 4)
        figures[f"spearman_{kind}{suffix}"] = None if rank is None else round(rank, 4)
    figures[f"half_width_{kind}"] = round(statistics.median(each.half_width for each in (*fitted, *tested)), 4)
    return figures


def observations(space: SearchSpace, network: Network, images: Tensor, n: int, kept: Path) -> Iterator[Observation]:
    """The same n configurations of each kind in every run, from the file where it holds them, else measured."""
    known = [Observation(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.is_file() else []
    by_choices = {(each.kind, tuple(sorted(each.choices.items()))): each for each in known}
    bench: Bench | None = None
    with tempfile.TemporaryDirectory(prefix="parefront-screening-") as folder, Meter(PROFILE) as meter:
        for kind in KINDS:
            rng = random.Random(kind)
            for _ in range(n):
                configuration = draw(space, kind, rng)
                found = by_choices.get((kind, tuple(sorted(configuration.items()))))
                if found is None:
                    bench = bench or Bench(network, space, images, Path(folder), meter)
                    found = bench.measure(kind, configuration)
                    with kept.open("a") as file:
                        file.write(json.dumps(asdict(found)) + "\n")
                yield found


def print_table(figures: Figures) -> None:
    """The figures for people."""
    print(f"\n{'resnet18':<16}{'predictor':>12}{'tables':>12}{'MACs':>12}{'interval':>12}")
    for kind in KINDS:
        for what, factor, unit in (("error", 100, " %"), ("spearman", 1, "")):
            values = [figures[f"{what}_{kind}{suffix}"] for suffix in ("", "_tables", "_macs")]
            cells = ["-" if value is None else f"{factor * value:.2f}{unit}" for value in values]
            if what == "error":
                cells.append(f"± {100 * figures[f'half_width_{kind}']:.2f} %")
            print(f"{kind:<16}{''.join(f'{cell:>12}' for cell in cells)}  {what}")


def main() -> None:
    """Measures, fits, tests, prints, and as the last line the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer configurations; not written to the results")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    parser.add_argument("--observations", type=Path, help="keep measurements here, and go on with those it holds")
    arguments = parser.parse_args()
    started, machine = time.perf_counter(), asdict(fingerprint(PROFILE))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    n_fitted, n_tested = N_QUICK if arguments.quick else (N_FITTED, N_TESTED)
    images = torch.randn(2, 3, SIZE, SIZE)
    network = trace(torchvision.models.resnet18(weights=None).eval(), images)
    space = find_space(network, PROFILE.capabilities)
    with tempfile.TemporaryDirectory(prefix="parefront-screening-") as folder:
        kept = arguments.observations or Path(folder) / "observations.jsonl"
        seen = list(observations(space, network, images, n_fitted + n_tested, kept))
    figures: Figures = {}
    for kind in KINDS:
        of_kind = [each for each in seen if each.kind == kind]
        figures |= compare(space, kind, of_kind[:n_fitted], of_kind[n_fitted:])
    figures |= {
        "n_fitted": n_fitted,
        "n_tested": n_tested,
        "is_quick": arguments.quick,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "torchvision", "onnxruntime")},
        "machine": machine,
    }
    print_table(figures)
    out = arguments.out or (None if arguments.quick else RESULTS)
    if out:
        out.write_text(json.dumps(figures) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
