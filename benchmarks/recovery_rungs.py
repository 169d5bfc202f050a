"""Accuracy without training, after the short and after the full fine-tune: do they rank random configurations alike?"""

from __future__ import annotations

import itertools
import random
from functools import partial

from benchmarks.recovery_bench import Bench, Effort, Figures, Journal, spread
from parefront.search.screening import rank_correlation
from parefront.spaces import Configuration, prepare, reestimate_batch_norm
from parefront.spaces.linearise import set_linearity

RUNGS = ("calibrated", "short", "full")


def measure(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Spearman's rank correlation of each pair of rungs, seed by seed; of full with full between seeds as the limit."""
    rng = random.Random(0)
    configurations = [bench.draw(rng) for _ in range(effort.n_configurations)]
    accuracy: dict[tuple[str, int], list[float]] = {}
    for number, configuration in enumerate(configurations):
        for rung, seed in itertools.product(RUNGS, effort.rung_seeds):
            key = ("rungs", bench.task.name, f"configuration {number}", rung, f"seed {seed}")
            found = journal.measure(key, partial(_one, bench, configuration, rung, seed, effort.is_quick))
            accuracy.setdefault((rung, seed), []).append(found["accuracy"])
    figures: Figures = {"n_configurations": len(configurations)}
    for lower, higher in itertools.combinations(RUNGS, 2):
        ranks = [rank_correlation(accuracy[lower, seed], accuracy[higher, seed]) for seed in effort.rung_seeds]
        figures[f"{lower} with {higher}"] = _spread(ranks)
    between = [
        rank_correlation(accuracy["full", a], accuracy["full", b])
        for a, b in itertools.combinations(effort.rung_seeds, 2)
    ]
    if between:
        figures["full with full of another seed"] = _spread(between)
    for rung in RUNGS:
        means = [sum(accuracy[rung, seed]) / len(configurations) for seed in effort.rung_seeds]
        figures[f"mean accuracy, {rung}"] = spread(means)
    return figures


def _spread(ranks: list[float | None]) -> Figures | None:
    known = [rank for rank in ranks if rank is not None]
    return spread(known, 3) if known else None


def _one(bench: Bench, configuration: Configuration, rung: str, seed: int, is_quick: bool) -> Figures:
    if rung == "calibrated":  # takes no seed: the same for all
        module = prepare(bench.network, configuration)
        set_linearity(module, 1.0)
        reestimate_batch_norm(module, bench.calibration)
    else:
        whole = {} if is_quick or rung == "short" else {"n_samples": bench.task.full_recipe.n_samples}
        module = bench.tune(configuration, bench.recipe(rung, **whole), seed)
    return {"accuracy": round(bench.finished_accuracy(module, configuration), 3)}
