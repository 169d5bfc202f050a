"""Which runtime executes a Linear layer of few non-zero weights faster than a dense one, and from which density on.

Measured, not read: every way to hand a sparse weight to a runtime on the CPU takes turns with the same runtime's dense
layer, one thread, and its outputs are compared. 50 % is the 2:4 pattern, two of any four weights in a row; lower
densities are without a pattern, but for `bsr`, which gets whole blocks of 16 x 16. What a runtime refuses is printed.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.sparse_execution [--quick]
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.race import Race, race
from benchmarks.sparse_ways import BLOCK, WAYS

RESULTS = Path(__file__).parent / "results" / "sparse_execution.json"
SIDES, BATCHES, DENSITIES = (1024, 4096), (1, 8), (0.5, 0.2, 0.1, 0.05)
ROUNDS = 7
TOLERANCES = {"int8": 0.03}
"""Largest error over the largest output; all others compute in fp32."""
TOLERANCE = 1e-4
SEED = 0


def run(quick: bool = False) -> dict[str, dict[str, float]]:
    """How many times faster than its runtime's dense layer each way is, by case and way, and the dense times in ms."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Sparse (CSR|BSR) tensor support is in beta state")
    figures = {}
    for side in SIDES[: 1 if quick else None]:
        for batch in BATCHES:
            for density in DENSITIES:
                name = f"{side} x {side}, batch {batch}, density {density:.0%}"
                figures[name] = one_case(side, batch, density, 3 if quick else ROUNDS)
                print(name, "|", ", ".join(f"{what} {value:.3g}" for what, value in figures[name].items()), flush=True)
    return figures


def one_case(side: int, batch: int, density: float, rounds: int) -> dict[str, float]:
    generator = np.random.default_rng(SEED)
    values = generator.standard_normal((side, side), np.float32)
    weight, blocks = values * pattern(generator, side, density), values * block_pattern(generator, side, density)
    inputs = generator.standard_normal((batch, side), np.float32)
    runs = {}
    for name, (_, way) in WAYS.items():
        own = blocks if name == "torch bsr" else weight
        runs[name] = way(own, inputs)
        check(name, runs[name](), inputs @ own.T)
    with torch.no_grad():
        timed = race(runs, rounds)
    figures = {name: timed.ratio(dense, name)[0] for name, (dense, _) in WAYS.items() if name != dense}
    times = {f"{dense}, ms": timed.median_ms(dense) for dense in dict.fromkeys(dense for dense, _ in WAYS.values())}
    figures |= against_the_quickest(timed) | times | {"foreign_cpu": timed.foreign_cpu}
    return {what: float(f"{value:.3g}") for what, value in figures.items()}


def against_the_quickest(timed: Race) -> dict[str, float]:
    """How many times faster the best sparse way is than the best dense one of any runtime, in fp32 and in int8."""
    dense = {dense for dense, _ in WAYS.values()}
    in_fp32 = {name for name in timed.times_ms if "int8" not in name}
    by_time = sorted(timed.times_ms, key=timed.median_ms)
    best = next(name for name in by_time if name not in dense and name in in_fp32 and name != "torch bsr")
    quickest = next(name for name in by_time if name in dense and name in in_fp32)
    return {
        f"best ({best}) against {quickest}": timed.ratio(quickest, best)[0],
        "best against openvino int8": timed.ratio("openvino int8", best)[0],
    }


def check(name: str, outputs: np.ndarray, expected: np.ndarray) -> None:
    error = float(np.abs(outputs - expected).max() / np.abs(expected).max())
    tolerance = next((most for kind, most in TOLERANCES.items() if kind in name), TOLERANCE)
    assert error <= tolerance, f"{name}: the outputs are {error:.1e} off"


def pattern(generator: np.random.Generator, side: int, density: float) -> np.ndarray:
    if density == 0.5:
        order = generator.random((side, side // 4, 4)).argsort(-1)
        return (order < 2).reshape(side, side)
    return generator.random((side, side)) < density


def block_pattern(generator: np.random.Generator, side: int, density: float) -> np.ndarray:
    return np.kron(generator.random((side // BLOCK, side // BLOCK)) < density, np.ones((BLOCK, BLOCK), bool))


def refused() -> dict[str, str]:
    """What PyTorch says to the ways that it does not go on a CPU."""
    weight, x = torch.eye(64), torch.ones(8, 64)
    csr = weight.to_sparse_csr()

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(csr, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight)

    def archive() -> None:
        torch.export.save(torch.export.export(Layer(), (x,)), io.BytesIO())

    pairs = (torch.arange(64) % 4 < 2).expand(64, 64).half()
    ways: dict[str, Callable[[], object]] = {
        "2:4, torch.sparse": lambda: torch.sparse.to_sparse_semi_structured(pairs),
        "csr, torch.compile": lambda: torch.compile(lambda x: F.linear(x, csr), fullgraph=True)(x),
        "csr, torch.export": archive,
    }
    reasons = {}
    for name, way in ways.items():
        try:
            way()
        except Exception as error:  # The reason is the result.
            reasons[name] = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        else:
            reasons[name] = "not refused"
    return reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures, reasons = run(quick), refused()
    for name, reason in reasons.items():
        print(f"{name}: {reason}")
    found = {"times_faster": figures, "refused": reasons}
    if not quick:
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
