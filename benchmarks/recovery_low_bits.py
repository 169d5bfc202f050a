"""Training through the rounding (straight-through estimator) at 8, 4, 2 and 1 bits, with plain rounding beside each.

Weights and what layers read are rounded alike; the first and the last layer stay at 8 bits. Plain rounding is the same
rounding with ranges calibrated over a few steps whose rate changes no weight, so that BatchNorm sees the rounding too:
its stronger form. `weights only` is the trained network as it is stored, its inputs in float.
"""

from __future__ import annotations

import copy
import dataclasses
from functools import partial

from benchmarks.recovery_bench import Bench, Effort, Figures, Journal, spread
from parefront.training import Hook, QuantizationAware, Run

WIDTHS = (8, 4, 2, 1)
METHODS = ("trained", "plain")
N_STEPS_PLAIN = 32
NO_RATE = 1e-12


def measure(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Accuracy by bits and method, full recipe, uncompressed structure; `32` is the same training without rounding."""
    figures: Figures = {"baseline": round(bench.accuracy(bench.baseline), 2)}
    found = [
        journal.measure(("low bits", bench.at_share, "32 bits", f"seed {seed}"), partial(_float, bench, seed))
        for seed in effort.seeds
    ]
    figures["32 bits"] = spread([each["accuracy"] for each in found])
    for bits in WIDTHS:
        for method in METHODS:
            found = []
            for seed in effort.seeds:
                key = ("low bits", bench.at_share, f"{bits} bits", method, f"seed {seed}")
                found.append(journal.measure(key, partial(_one, bench, bits, method, seed)))
            figures[f"{bits} bits, {method}"] = spread([each["accuracy"] for each in found])
            figures[f"{bits} bits, {method}, weights only"] = spread([each["weights_only"] for each in found])
    return figures


class _Look(Hook):
    """Reads the accuracy at the end, while the roundings are still in: it stands before the hook that removes them."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.accuracy = 0.0

    def end(self, run: Run) -> None:
        self.accuracy = self._bench.accuracy(run.module)


def _float(bench: Bench, seed: int) -> Figures:
    module = copy.deepcopy(bench.network.module)
    bench.train(module, bench.recipe("full"), seed)
    return {"accuracy": round(bench.accuracy(module), 3)}


def _one(bench: Bench, bits: int, method: str, seed: int) -> Figures:
    module = copy.deepcopy(bench.network.module)
    names = [layer.name for layer in bench.network.layers]
    widths = dict.fromkeys(names, bits) | {names[0]: 8, names[-1]: 8}
    recipe = bench.recipe("full", quantization_share=1.0)
    if method == "plain":
        n_samples = N_STEPS_PLAIN * recipe.batch_size
        recipe = dataclasses.replace(recipe, n_samples=n_samples, learning_rate=NO_RATE, weight_decay=0.0)
    look = _Look(bench)
    rounding = QuantizationAware(widths, ranges="learned" if method == "trained" else "calibrated")
    bench.train(module, recipe, seed, [look, rounding])
    return {"accuracy": round(look.accuracy, 3), "weights_only": round(bench.accuracy(module), 3)}
