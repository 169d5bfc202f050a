"""How far the meter can be trusted, beside plain timing, on an idle machine and with busy neighbours, all in one run.

    python -m benchmarks.meter [--quick] [--out FILE]

Needs a machine that is otherwise idle, with at least two cores; everything is timed on one. Prints tables, and as its
last line one JSON object, which is also written to `benchmarks/results/meter.json` (with `--quick` only to `--out`).

Three fp32 networks of about 10 ms: chains of equal convolutions. The reference has 100 of them, `same` has 100 too,
`slower` has 103. Each repetition starts a fresh measuring process and measures `same` and `slower` against the
reference by the profile cpu-ort-1t as it is (half-width .5 %, at most two requeues). Then, in another fresh process,
the same files are timed the plain way: one after the other for half a second each, by median and minimum of the runs
and by `torch.utils.benchmark` (`blocked_autorange`), without lease, priority or turns.

Conditions: `idle`; `neighbour`, a burner on another core; `burners`, one on every core, pinned. A burner multiplies
matrices without end.

How to read it:

- `true_difference`: of `slower` to `same`, from the long run: eight fresh processes with 60 pairs of bursts each.
- `cv_*`: coefficient of variation, over fresh processes, of the reported ratio of `slower` to the reference, in
  percent.
- `decided3_*`: share of repetitions in which `compare` says that `slower` is slower or faster; `wrong3`: share of the
  decided ones, over all conditions, in which it says the wrong one ("tie" counts as wrong). Plain timing has no
  interval: it always decides, by sign, and its `wrong3_*` is the share in which the sign is wrong.
- `coverage`: share of the 95 % intervals, idle, that hold the ratio of the long run, both networks together.
- `seconds_per_candidate`: median wall time of one measurement, idle, the loading of the networks included.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from parefront.hardware_profiles import Measurement, Meter, PrecisionPlan, compare, fingerprint, load_profile
from parefront.hardware_profiles.export.qdq import export_onnx
from parefront.hardware_profiles.measuring.cores import available_cores
from parefront.hardware_profiles.measuring.intervals import centre

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "meter.json"
PROFILE = load_profile("cpu-ort-1t")
N_BLOCKS = {"reference": 100, "same": 100, "slower": 103}
CHANNELS, SIZE = 32, 28
N_LONG_RUN = 8
PLAIN_METHODS = ("median", "minimum", "torch_benchmark")

# Runs in a process of its own: seconds and files as arguments; prints the time per method of each file, in ms.
PLAIN = """
import json, statistics, sys, time
import onnxruntime
from torch.utils import benchmark
seconds, results = float(sys.argv[1]), []
for path in sys.argv[2:]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: __import__("numpy").zeros((1, 3, SIZE, SIZE), "float32")}
    session.run(None, feed)
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        session.run(None, feed)
        times.append(1e3 * (time.perf_counter() - before))
    timer = benchmark.Timer("session.run(None, feed)", globals={"session": session, "feed": feed}, num_threads=1)
    ranged = timer.blocked_autorange(min_run_time=seconds)
    results.append([statistics.median(times), min(times), 1e3 * ranged.median])
print(json.dumps(results))
""".replace("SIZE", str(SIZE))

BURNER = """
import os, sys
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.sched_setaffinity(0, {int(sys.argv[1])})
import numpy
matrix = numpy.random.default_rng(0).standard_normal((700, 700), dtype="float32")
print("burning", flush=True)
while True:
    matrix @ matrix
"""


@dataclass(frozen=True)
class Effort:
    """How often everything is repeated, by condition."""

    repetitions: dict[str, int]
    plain_seconds: float
    n_long_run: int


FULL = Effort({"idle": 40, "neighbour": 20, "burners": 25}, 0.5, N_LONG_RUN)
QUICK = Effort({"idle": 4, "neighbour": 3, "burners": 3}, 0.3, 2)


@dataclass(frozen=True)
class Repetition:
    """What one repetition found.

    Attributes:
        same: The meter's measurement of the network that equals the reference.
        slower: That of the slower one.
        seconds: Wall time of each measurement.
        plain_ms: Time by method, of the reference, `same` and `slower` in this order.
    """

    same: Measurement
    slower: Measurement
    seconds: tuple[float, float]
    plain_ms: dict[str, tuple[float, float, float]]


def write_networks(folder: Path) -> dict[str, Path]:
    """Writes the three networks as ONNX files."""
    paths = {}
    for name, n_blocks in N_BLOCKS.items():
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 3, padding=1), nn.ReLU()]
        for _ in range(n_blocks):
            layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU()]
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 10)).eval()
        paths[name] = folder / f"{name}.onnx"
        export_onnx(network, (torch.zeros(2, 3, SIZE, SIZE),), PrecisionPlan.none(), paths[name])
    return paths


@contextmanager
def burning(cores: Sequence[int]) -> Iterator[None]:
    """Keeps cores busy for as long as the block lasts."""
    burners = [
        subprocess.Popen([sys.executable, "-c", BURNER, str(core)], stdout=subprocess.PIPE, text=True) for core in cores
    ]
    try:
        for burner in burners:
            assert burner.stdout is not None
            burner.stdout.readline()
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
            assert burner.stdout is not None
            burner.stdout.close()


def repeat(paths: dict[str, Path], plain_seconds: float) -> Repetition:
    """One repetition, each way of measuring in a fresh process."""
    found, seconds = [], []
    with Meter(PROFILE) as meter:
        meter.anchor(paths["reference"], 1.0)
        meter.fingerprint()  # Starts the process, which a search does once, not per candidate.
        for name in ("same", "slower"):
            started = time.perf_counter()
            found.append(meter.measure(paths[name], paths["reference"]))
            seconds.append(time.perf_counter() - started)
    command = [sys.executable, "-c", PLAIN, str(plain_seconds), *(str(paths[name]) for name in N_BLOCKS)]
    times = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    plain_ms = {method: tuple(row[position] for row in times) for position, method in enumerate(PLAIN_METHODS)}
    return Repetition(found[0], found[1], (seconds[0], seconds[1]), plain_ms)


def long_run(paths: dict[str, Path], n_processes: int) -> dict[str, float]:
    """The ratios that everything is judged by: the centre over many pairs in several fresh processes."""
    protocol = PROFILE.protocol.model_copy(update={"min_pairs": PROFILE.protocol.max_pairs})
    profile = PROFILE.model_copy(update={"protocol": protocol})
    ratios: dict[str, list[float]] = {"same": [], "slower": []}
    for _ in range(n_processes):
        with Meter(profile) as meter:
            meter.anchor(paths["reference"], 1.0)
            for name, values in ratios.items():
                values.append(math.log(meter.measure(paths[name], paths["reference"]).latency_ms))
    return {name: math.exp(centre(values)) for name, values in ratios.items()}


def variation(values: Sequence[float]) -> float:
    """The coefficient of variation, in percent."""
    return 100 * statistics.stdev(values) / statistics.fmean(values)


def condition_figures(name: str, repetitions: Sequence[Repetition]) -> dict[str, Any]:
    """What the repetitions of one condition come to."""
    verdicts = [compare(each.slower, each.same) for each in repetitions]
    decided = [verdict for verdict in verdicts if verdict != "undecided"]
    figures: dict[str, Any] = {
        f"cv_{name}": round(variation([each.slower.latency_ms for each in repetitions]), 3),
        f"decided3_{name}": round(len(decided) / len(verdicts), 3),
        f"n_wrong3_{name}": len(decided) - decided.count("slower"),
        f"seconds_{name}": round(statistics.median(s for each in repetitions for s in each.seconds), 2),
        f"pairs_{name}": statistics.median(each.slower.n_pairs for each in repetitions),
        f"low_quality_{name}": round(statistics.fmean(each.slower.quality == "low" for each in repetitions), 3),
        f"foreign_cpu_{name}": round(statistics.median(each.slower.foreign_cpu for each in repetitions), 4),
        f"steal_{name}": round(statistics.median(each.slower.steal for each in repetitions), 4),
        f"is_realtime_{name}": all(each.slower.is_realtime for each in repetitions),
    }
    for method in PLAIN_METHODS:
        times = [each.plain_ms[method] for each in repetitions]
        figures[f"cv_{name}_{method}"] = round(variation([slower / reference for reference, _, slower in times]), 3)
        wrong = [slower <= same for _, same, slower in times]
        figures[f"wrong3_{name}_{method}"] = round(statistics.fmean(wrong), 3)
    return figures


def covered(repetitions: Sequence[Repetition], truth: dict[str, float]) -> float:
    """The share of intervals that hold the ratio of the long run."""
    pairs = [(each.same, truth["same"]) for each in repetitions]
    pairs += [(each.slower, truth["slower"]) for each in repetitions]
    return statistics.fmean(measured.low_ms <= ratio <= measured.high_ms for measured, ratio in pairs)


def measure(effort: Effort, paths: dict[str, Path], say: Callable[[str], None]) -> dict[str, Any]:
    """All conditions, and the long run in two halves around the idle one."""
    cores = available_cores()
    half = max(1, effort.n_long_run // 2)
    say("the long run, first half")
    truths = [long_run(paths, half)]
    figures: dict[str, Any] = {}
    n_decided = n_wrong = 0.0
    for name, busy in (("idle", ()), ("neighbour", cores[-1:]), ("burners", cores)):
        with burning(busy):
            repetitions = []
            for position in range(effort.repetitions[name]):
                say(f"{name}: {position + 1} of {effort.repetitions[name]}")
                repetitions.append(repeat(paths, effort.plain_seconds))
        figures |= condition_figures(name, repetitions)
        n_decided += figures[f"decided3_{name}"] * len(repetitions)
        n_wrong += figures[f"n_wrong3_{name}"]
        if name == "idle":
            idle = repetitions
            say("the long run, second half")
            truths.append(long_run(paths, half))
    truth = {kind: math.exp(statistics.fmean(math.log(each[kind]) for each in truths)) for kind in truths[0]}
    return {
        **figures,
        "wrong3": round(n_wrong / max(1.0, n_decided), 4),
        "coverage": round(covered(idle, truth), 3),
        "seconds_per_candidate": figures["seconds_idle"],
        "true_difference": round(truth["slower"] / truth["same"] - 1, 4),
        "long_run": {kind: round(value, 5) for kind, value in truth.items()},
        "long_run_halves": [{kind: round(value, 5) for kind, value in each.items()} for each in truths],
        "reference_ms": round(statistics.median(each.plain_ms["median"][0] for each in idle), 2),
    }


def print_tables(figures: dict[str, Any]) -> None:
    """The figures for people."""
    print(f"\na true difference of {100 * figures['true_difference']:.1f} % at {figures['reference_ms']} ms")
    print(f"{'':<12}{'meter':>26}{'median':>18}{'minimum':>18}{'torch benchmark':>18}")
    print(f"{'':<12}{'cv %':>8}{'decided':>9}{'wrong':>9}" + f"{'cv %':>9}{'wrong':>9}" * 3)
    for name in ("idle", "neighbour", "burners"):
        row = f"{name:<12}{figures[f'cv_{name}']:>8}{figures[f'decided3_{name}']:>9}{figures[f'n_wrong3_{name}']:>9}"
        for method in PLAIN_METHODS:
            row += f"{figures[f'cv_{name}_{method}']:>9}{figures[f'wrong3_{name}_{method}']:>9}"
        print(row)
    print(f"coverage {figures['coverage']}, {figures['seconds_per_candidate']} s per candidate\n")


def main() -> None:
    """Measures everything, prints it, and as the last line the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats; not written to the results by itself")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    arguments = parser.parse_args()
    started = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - started:6.0f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="parefront-meter-benchmark-") as folder:
        figures = measure(QUICK if arguments.quick else FULL, write_networks(Path(folder)), say)
    figures |= {
        "is_quick": arguments.quick,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "onnxruntime")},
        "machine": asdict(fingerprint(PROFILE)),
    }
    print_tables(figures)
    out = arguments.out or (None if arguments.quick else RESULTS)
    if out:
        out.write_text(json.dumps(figures) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
