"""What the techniques cost and win on torchvision's networks, each beside its alternative, all in one run.

    python -m benchmarks.techniques [--quick] [--out FILE]

Everything runs on one core with one thread. Weights are random and BatchNorm is re-estimated: what is measured is time,
not accuracy. Prints tables, and as its last line one JSON object, which is also written to
`benchmarks/results/techniques.json` (with `--quick`, fewer repeats, only to `--out`).

How to read it:

- **CPU seconds** (`*_cpu_s`) are of resnet18 at 224: medians of `time.process_time` over repeats that take turns.
  `export_int8_cpu_s` is what a trial pays between a calibrated plan and a file that the runtime loads: lowering, trace,
  checks, writing. Calibration (`finish`: ranges, scales of the weights, bias correction) is not in it.
  `ort_quantizer_cpu_s` is ONNX Runtime's own way from the float ONNX file to its int8 file: `quant_pre_process` and
  `quantize_static` (QDQ, U8S8, per channel), its calibration left out by giving it the ranges from a cache file. The
  scales of the weights are in it, the export of the float file (`export_fp32_cpu_s`) is not. So that neither side
  profits from where the line is drawn, `finish_and_export_cpu_s` and `ort_export_and_all_cpu_s` hold everything of
  either: a prepared network to an int8 file, and a float network to an int8 file, calibrated with the same 8 images.
- **Ratios** (`int8_vs_*`, `fold_speedup_*`) are central ratios over rounds in which all contenders take turns, in an
  order that is reversed each round; in brackets the 95 % interval. `int8_vs_eager` is torch's time over ours
  (above 1: ours is faster), `int8_vs_ort_quantizer` ours over that of ONNX Runtime's file (above 1: ours is slower),
  a fold's speed-up the time of the plain block over that of the folded one. `foreign_cpu` is the largest share of the
  core that others took meanwhile: above 0.05 run it again.
- **Folds**: each stride-1 inverted residual of mobilenet_v2 with an expansion is a network of its own, folded whole
  ("on:2") into one dense convolution. The first block has no expansion, and no fold is offered for it. In int8 its
  input and output are float, and rounding and restoring them is in both times.
- **Discovery** (`discovery_s`): `discover_s` is tracing and finding all sites; `one_configuration_s` drawing one
  configuration, preparing, re-estimating BatchNorm and finishing it with 8 images; `total_s` both; each is the
  median over repeats by itself. `peak_memory` is what that takes at most, over the model's weights and its activations
  for the images. Each repeat runs in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from benchmarks.race import Race, cpu_seconds, race
from benchmarks.zoo_model import N_IMAGES, draw_images
from parefront.evaluators.deploy import misexecuted_layers
from parefront.hardware_profiles import fingerprint, load_profile
from parefront.hardware_profiles.measuring.cores import available_cores, pin
from parefront.hardware_profiles.runtimes import executed_precision, get_runtime
from parefront.spaces import (
    Choice,
    Finished,
    Network,
    SearchSpace,
    find_space,
    finish,
    prepare,
    reestimate_batch_norm,
    trace,
)

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "techniques.json"
PROFILE = load_profile("cpu-ort-1t")
RUNTIME = get_runtime(PROFILE.runtime.name)
DISCOVERED = ("resnet50", "vit_b_16", "densenet121")
SIZE = 224

Figures = dict[str, Any]  # part of the JSON


@dataclass(frozen=True)
class Effort:
    """How often everything is repeated."""

    exports: int
    pipelines: int
    rounds: int
    discoveries: int


FULL = Effort(exports=5, pipelines=3, rounds=25, discoveries=3)
QUICK = Effort(exports=3, pipelines=1, rounds=8, discoveries=1)


def compress(network: Network, choices: Mapping[str, Choice], space: SearchSpace, images: Tensor) -> Finished:
    """One configuration without training, BatchNorm re-estimated."""
    configuration = space.canonical(choices)
    module = prepare(network, configuration)
    reestimate_batch_norm(module, images, n_batches=1)
    return finish(module, configuration, images)


def all_int8(space: SearchSpace) -> dict[str, Choice]:
    """8 bits wherever they are offered."""
    return {site.name: 8 for site in space.sites if site.technique == "bits" and 8 in site.choices}


def export(finished: Finished, images: Tensor, path: Path) -> None:
    """Writes the runtime's file."""
    RUNTIME.export(finished.module, (images[:2],), finished.plan, path)


def open_checked(finished: Finished, images: Tensor, path: Path) -> Callable[[], object]:
    """Exports and loads; gives what runs one image. What does not execute in its bits would make the figures void."""
    export(finished, images, path)
    times = RUNTIME.profile_operators(path, images[:1].numpy(), PROFILE.runtime.threads, repeats=1)
    missing = misexecuted_layers(finished, executed_precision(times))
    if missing:
        raise SystemExit(f"{path.stem}: every planned layer must execute in 8 bits, {', '.join(missing)} did not")
    return runner(path, images)


def runner(path: Path, images: Tensor) -> Callable[[], object]:
    """What runs one image through a file."""
    session, image = RUNTIME.open_session(path, PROFILE.runtime.threads), images[:1].numpy()
    return lambda: session.run(image)


class _Images(CalibrationDataReader):  # type: ignore[misc]  # the library declares no types
    """Calibration images, one per inference."""

    def __init__(self, images: Tensor) -> None:
        self._batches = iter([{"input": image[None].numpy()} for image in images])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def quantize_by_onnxruntime(plain: Path, path: Path, images: Tensor, ranges: Path | None = None) -> None:
    """ONNX Runtime's preprocessing and static quantization; ranges come from their file where it exists."""
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(plain), str(prepared))
    quantize_static(
        str(prepared),
        str(path),
        _Images(images),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibration_cache_path=ranges,
    )


def measure_quantization(effort: Effort, folder: Path) -> Figures:
    """resnet18: CPU time of our int8 file and of ONNX Runtime's, then the latency of both and of eager torch."""
    model, images = torchvision.models.resnet18(weights=None).eval(), draw_images(SIZE)
    network = trace(model, images[:2])
    space = find_space(network, PROFILE.capabilities)
    configuration = space.canonical(all_int8(space))
    module = prepare(network, configuration)
    reestimate_batch_norm(module, images, n_batches=1)
    ours, fp32 = finish(module, configuration, images), compress(network, {}, space, images)
    paths = {name: folder / f"{name}.onnx" for name in ("ours", "fp32", "ort", "ours_all", "ort_all")}
    ranges = folder / "ranges.json"

    def export_and_all() -> None:
        export(fp32, images, paths["fp32"])
        quantize_by_onnxruntime(paths["fp32"], paths["ort_all"], images)

    export(fp32, images, paths["fp32"])
    parts = {
        "export_int8_cpu_s": lambda: export(ours, images, paths["ours"]),
        "ort_quantizer_cpu_s": lambda: quantize_by_onnxruntime(paths["fp32"], paths["ort"], images, ranges),
        "export_fp32_cpu_s": lambda: export(fp32, images, paths["fp32"]),
    }
    wholes = {
        "finish_and_export_cpu_s": lambda: export(finish(module, configuration, images), images, paths["ours_all"]),
        "ort_export_and_all_cpu_s": export_and_all,
    }
    figures = cpu_seconds(parts, effort.exports) | cpu_seconds(wholes, effort.pipelines)
    return figures | _race_int8(model, ours, images, paths, effort.rounds)


def _race_int8(model: nn.Module, ours: Finished, images: Tensor, paths: Mapping[str, Path], rounds: int) -> Figures:
    image = images[:1]
    contenders = {
        "eager": lambda: model(image),
        "ours": open_checked(ours, images, paths["ours"]),
        "ort": runner(paths["ort"], images),
        "fp32": runner(paths["fp32"], images),
    }
    with torch.inference_mode():
        result = race(contenders, rounds)
    eager, ort = result.ratio("eager", "ours"), result.ratio("ours", "ort")
    return {
        "int8_vs_eager": round(eager[0], 3),
        "int8_vs_eager_interval": _rounded(eager[1:]),
        "int8_vs_ort_quantizer": round(ort[0], 3),
        "int8_vs_ort_quantizer_interval": _rounded(ort[1:]),
        "resnet18_ms": {name: round(result.median_ms(name), 3) for name in contenders},
        "foreign_cpu": round(result.foreign_cpu, 3),
    }


def measure_folds(effort: Effort, folder: Path) -> Figures:
    """Every stride-1 inverted residual of mobilenet_v2 that has an expansion, folded and not, in float and in int8."""
    model = torchvision.models.mobilenet_v2(weights=None).eval()
    fp32: list[Figures] = []
    int8: list[Figures] = []
    foreign, size = 0.0, SIZE // 2
    for position, block in enumerate(model.features):
        if type(block) is not torchvision.models.mobilenetv2.InvertedResidual:
            continue
        if block.stride == 1 and len(block.conv) == 4:
            n_in = block.conv[0][0].in_channels
            result = _race_block(block, (n_in, size, size), effort.rounds, folder)
            channels = f"{n_in}-{block.out_channels}"
            facts = {"block": f"features.{position}", "channels": channels, "size": size}
            fp32.append(facts | _fold_figures(result, "fp32"))
            int8.append(facts | _fold_figures(result, "int8"))
            foreign = max(foreign, result.foreign_cpu)
        size //= block.stride
    speedups = [each["speedup"] for each in fp32]
    return {
        "fold_speedup_fp32": fp32,
        "fold_speedup_int8": int8,
        "fold_speedup_fp32_min": min(speedups),
        "fold_speedup_fp32_max": max(speedups),
        "foreign_cpu": round(foreign, 3),
    }


def _race_block(block: nn.Module, shape: tuple[int, int, int], rounds: int, folder: Path) -> Race:
    images = torch.randn(N_IMAGES, *shape)
    network = trace(block, images[:2])
    space = find_space(network, PROFILE.capabilities)
    (fold,) = [site for site in space.sites if site.technique == "fold"]
    choices = {"plain": {}, "folded": {fold.name: "on:2"}}
    contenders = {}
    for bits, in_bits in {"fp32": {}, "int8": all_int8(space)}.items():
        for name, chosen in choices.items():
            finished = compress(network, {**chosen, **in_bits}, space, images)
            contenders[f"{name}-{bits}"] = open_checked(finished, images, folder / f"{name}-{bits}.onnx")
    return race(contenders, rounds)


def _fold_figures(result: Race, bits: str) -> Figures:
    speedup, low, high = result.ratio(f"plain-{bits}", f"folded-{bits}")
    times = {f"{name}_ms": round(result.median_ms(f"{name}-{bits}"), 4) for name in ("plain", "folded")}
    return {"speedup": round(speedup, 3), "interval": _rounded((low, high)), **times}


def measure_discovery(effort: Effort) -> Figures:
    """Medians over repeats by model, each repeat in a process of its own."""
    found: Figures = {}
    for name in DISCOVERED:
        repeats = [_in_own_process(name) for _ in range(effort.discoveries)]
        found[name] = {key: round(statistics.median(each[key] for each in repeats), 2) for key in repeats[0]}
    return {"discovery_s": found}


def _in_own_process(name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.discovery", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _rounded(interval: tuple[float, ...]) -> list[float]:
    return [round(bound, 3) for bound in interval]


def print_tables(figures: Figures) -> None:
    """The figures for people."""
    print("\nresnet18: CPU seconds")
    for name in (key for key in figures if key.endswith("_cpu_s")):
        print(f"  {name.removesuffix('_cpu_s'):<24}{figures[name]:>8.3f}")
    print("\nresnet18: latency, ms")
    for name, value in figures["resnet18_ms"].items():
        print(f"  {name:<24}{value:>8.2f}")
    for name in ("int8_vs_eager", "int8_vs_ort_quantizer"):
        print(f"  {name:<24}{figures[name]:>8.3f} {figures[f'{name}_interval']}")
    print(f"\nfolded inverted residuals\n  {'block':<14}{'channels':>10}{'size':>6}{'fp32':>8}{'':>18}{'int8':>8}")
    for fp32, int8 in zip(figures["fold_speedup_fp32"], figures["fold_speedup_int8"], strict=True):
        facts = f"  {fp32['block']:<14}{fp32['channels']:>10}{fp32['size']:>6}"
        print(f"{facts}{fp32['speedup']:>8.2f}{fp32['interval']!s:>18}{int8['speedup']:>8.2f}{int8['interval']!s:>18}")
    print(f"\n{'discovery':<16}{'discover s':>12}{'compress s':>12}{'total s':>10}{'memory':>8}")
    for name, each in figures["discovery_s"].items():
        cells = (f"{value:>{width}.2f}" for value, width in zip(each.values(), (12, 12, 10, 8), strict=True))
        print(f"  {name:<14}{''.join(cells)}")


def main() -> None:
    """Measures everything, prints it, and as the last line the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats; not written to the results by itself")
    parser.add_argument("--out", type=Path, help="write the JSON object here")
    arguments = parser.parse_args()
    machine = asdict(fingerprint(PROFILE))
    pin(available_cores()[-1:])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    started, effort = time.perf_counter(), QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="parefront-techniques-") as folder:
        quantization = measure_quantization(effort, Path(folder))
        folds = measure_folds(effort, Path(folder))
    foreign = max(quantization["foreign_cpu"], folds["foreign_cpu"])
    figures = quantization | folds | measure_discovery(effort) | {"foreign_cpu": foreign}
    figures |= {
        "is_quick": arguments.quick,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "torchvision", "onnxruntime")},
        "machine": machine,
    }
    print_tables(figures)
    out = arguments.out or (None if arguments.quick else RESULTS)
    if out:
        out.write_text(json.dumps(figures) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
