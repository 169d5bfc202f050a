"""The main job against what a careful expert gets by hand, both in one run.

Ours: `parefront search` as `make demo` runs it, in a fresh directory with an empty baseline cache. The expert:
Torch-Pruning at uniform ratios from 12.5 to 87.5 % (widths rounded to multiples of 8), the same full fine-tune per
network as our members got (same steps, rates, distillation and seed), then ONNX Runtime's own static int8 quantization;
the best of those that lose at most one point. Both are measured by the same meter against the same reference.

    python -m benchmarks.main_job [--quick] [--out FILE]

Prints a table, and as its last line one JSON object of the figures.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import importlib.metadata
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch_pruning
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from parefront.evaluators.workbench import Workbench
from parefront.hardware_profiles import fingerprint, load_profile
from parefront.results import Run, load
from parefront.tasks import Task, load_task
from parefront.training import Teacher, TrainingRecipe, finetune, predict

RATIOS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
MAX_DROP = 1.0
HARDWARE = "cpu-ort-1t"


@dataclass(frozen=True)
class Uniform:
    """What the expert got at one ratio."""

    ratio: float
    latency_ms: float
    size_bytes: int
    drop: float
    test_drop: float
    speedup: float
    size_ratio: float


class _Samples(CalibrationDataReader):
    """Calibration samples, one per inference, as the quantizer asks for them."""

    def __init__(self, inputs: np.ndarray) -> None:
        self._batches = iter([{"input": sample[None]} for sample in inputs])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def run_ours(task: str, trials: int, finals: int, directory: Path) -> tuple[Run, float]:
    """One search as a user runs it: a fresh process, nothing cached."""
    command = [sys.executable, "-c", "from parefront.cli.main import main; main()", "search", task]
    command += [
        "--hardware",
        HARDWARE,
        "--trials",
        str(trials),
        "--finals",
        str(finals),
        "--out",
        str(directory / "run"),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "XDG_CACHE_HOME": str(directory / "cache")})
    return load(directory / "run"), time.perf_counter() - started


def open_bench(task: Task, run: Run, directory: Path) -> Workbench:
    """The same network, data and references as the run's."""
    os.environ["XDG_CACHE_HOME"] = str(directory / "cache")
    bench = Workbench(task, load_profile(HARDWARE), directory / "expert", seed=0)
    with np.load(run.artefacts / "baseline.npz", allow_pickle=False) as saved:
        bench.set_reference(saved["samples"], saved["test_samples"])
        bench.anchor(json.loads(str(saved["anchors_ms"])))
    return bench


def run_expert(
    bench: Workbench, ratio: float, recipe: TrainingRecipe, directory: Path, *, is_final: bool = True
) -> Uniform:
    """Uniform pruning, the same training, ONNX Runtime's own quantizer."""
    network = prune_uniformly(bench.network.module, bench.network.example_inputs[0], ratio)
    teacher = Teacher(predict(bench.network.module, bench.data.train)) if recipe.distillation_weight else None
    finetune(network, bench.data.train, recipe, bench.task.loss, seed=bench.seed, teacher=teacher)
    path = quantize_by_onnxruntime(network, bench, directory / f"uniform-{ratio}.onnx")
    return score_expert(bench, ratio, path, is_final=is_final)


def prune_uniformly(module: nn.Module, example_input: torch.Tensor, ratio: float) -> nn.Module:
    """Every group pruned by the same ratio, rounded to multiples of 8; the classifier's outputs stay."""
    network = copy.deepcopy(module)
    pruner = torch_pruning.pruner.MagnitudePruner(
        network,
        example_input[:1],
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        round_to=8,
        ignored_layers=[m for m in network.modules() if isinstance(m, nn.Linear)],
    )
    pruner.step()
    return network


def quantize_by_onnxruntime(network: nn.Module, bench: Workbench, path: Path) -> Path:
    """Export, ONNX Runtime's preprocessing, static quantization per channel: unsigned activations, signed weights."""
    plain, prepared = path.with_suffix(".plain.onnx"), path.with_suffix(".prepared.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            bench.network.example_inputs,
            str(plain),
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        quant_pre_process(str(plain), str(prepared))
        quantize_static(
            str(prepared),
            str(path),
            _Samples(bench.data.train.inputs[:256].numpy()),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return path


def score_expert(bench: Workbench, ratio: float, path: Path, *, is_final: bool) -> Uniform:
    """The expert's file by the same measures as ours."""
    scores = bench.score_artefact(path, "int8", is_final=is_final)
    assert bench.latency is not None
    fp32 = bench.latency.references["fp32"]
    return Uniform(
        ratio,
        scores["latency_ms"].value,
        int(scores["size_bytes"].value),
        scores["accuracy_drop"].value,
        scores["test_drop"].value,
        bench.latency.anchors_ms["fp32"] / scores["latency_ms"].value,
        fp32.stat().st_size / scores["size_bytes"].value,
    )


def help_seconds() -> float:
    """Median wall time of `parefront --help`."""
    command = [sys.executable, "-c", "from parefront.cli.main import main; main()", "--help"]
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def print_table(run: Run, uniforms: list[Uniform]) -> None:
    """Our front and the expert's networks."""
    baseline = run.baseline
    print(f"\n{'':<22}{'latency ms':>12}{'faster':>9}{'smaller':>9}{'drop pt':>9}{'test drop':>11}")
    rows = [
        (
            f"ours #{t.number}",
            t.value("latency_ms"),
            t.value("size_bytes"),
            t.value("accuracy_drop"),
            t.value("test_drop"),
        )
        for t in run.front
    ]
    rows += [(f"uniform {u.ratio:.1%}", u.latency_ms, u.size_bytes, u.drop, u.test_drop) for u in uniforms]
    for name, latency, size, drop, test_drop in rows:
        faster, smaller = baseline.value("latency_ms") / latency, baseline.value("size_bytes") / size
        print(f"{name:<22}{latency:>12.4f}{faster:>9.2f}{smaller:>9.2f}{drop:>9.2f}{test_drop:>11.2f}")


def figures(
    run: Run, seconds: float, uniforms: list[Uniform], short75: Uniform | None, profile_name: str
) -> dict[str, object]:
    """The figures of the issue, by name."""
    baseline, pick = run.findings.baseline, run.findings.pick
    assert baseline is not None
    within = [u for u in uniforms if u.drop <= MAX_DROP]
    expert = min(within, key=lambda u: u.latency_ms, default=None)
    machine = fingerprint(load_profile(profile_name))
    return {
        "demo_seconds": round(seconds, 1),
        "speedup_at_1pt": pick and round(baseline.value("latency_ms") / pick.value("latency_ms"), 2),
        "size_ratio_at_1pt": pick and round(baseline.value("size_bytes") / pick.value("size_bytes"), 2),
        "drop_at_1pt": pick and round(pick.value("accuracy_drop"), 2),
        "test_drop_at_1pt": pick and round(pick.value("test_drop"), 2),
        "over_uniform_at_1pt": pick and expert and round(expert.latency_ms / pick.value("latency_ms"), 3),
        "uniform_speedup_at_1pt": expert and round(baseline.value("latency_ms") / expert.latency_ms, 2),
        "uniform_ratio_at_1pt": expert and expert.ratio,
        "uniform75_short_drop": short75 and round(short75.drop, 2),
        "baseline_accuracy": round(run.trials[0].value("accuracy"), 2),
        "baseline_tuned_accuracy": round(run.trials[1].value("accuracy"), 2),
        "baseline_latency_ms": round(run.trials[0].value("latency_ms"), 3),
        "overhead_fraction": round(run.manifest["overhead_fraction"], 4),
        "help_seconds": round(help_seconds(), 3),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("parefront", "torch", "onnxruntime", "torch-pruning", "optuna")
        },
        "machine": dataclasses.asdict(machine),
    }


def main() -> None:
    """Runs both sides and prints what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the plain digits, few trials and ratios: at most 50 s")
    parser.add_argument("--out", type=Path, help="also write the JSON object here")
    parser.add_argument("--trials", type=int, default=None)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    name, trials, finals, ratios = ("digits", 6, 2, (0.5,)) if options.quick else ("cluttered-digits", 24, 5, RATIOS)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        run, seconds = run_ours(name, options.trials or trials, finals, directory)
        task = load_task(name)
        bench = open_bench(task, run, directory)
        try:
            uniforms = [run_expert(bench, ratio, task.full_recipe, directory) for ratio in ratios]
            short75 = None if options.quick else run_expert(bench, 0.75, task.short_recipe, directory)
        finally:
            bench.close()
        print_table(run, uniforms)
        result = figures(run, seconds, uniforms, short75, HARDWARE)
    text = json.dumps(result)
    if options.out:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
