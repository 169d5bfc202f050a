"""Distillation from the uncompressed network beside the plain fine-tune, at equal steps."""

from __future__ import annotations

from functools import partial

from benchmarks.recovery_bench import Bench, Effort, Figures, Journal, spread

WEIGHTS = (0.0, 0.5, 0.9)
"""Share of the loss that follows the teacher; 0 is the plain fine-tune."""


def measure(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Accuracy by compression level and weight, short recipe, fp32."""
    figures: Figures = {"baseline": round(bench.accuracy(bench.baseline), 2)}
    for level in effort.levels:
        by_weight = {}
        for weight in WEIGHTS:
            found = []
            for seed in effort.seeds:
                key = ("distillation", bench.task.name, level, f"weight {weight:g}", f"seed {seed}")
                found.append(journal.measure(key, partial(_one, bench, level, weight, seed))["accuracy"])
            by_weight[f"{weight:g}"] = spread(found)
        figures[level] = by_weight
    return figures


def _one(bench: Bench, level: str, weight: float, seed: int) -> Figures:
    configuration = bench.at_level(level)
    module = bench.tune(configuration, bench.recipe("short", distillation_weight=weight), seed)
    return {"accuracy": round(bench.finished_accuracy(module, configuration), 3)}
