"""LeNet-300-100 on scikit-learn's digits: weights removed at no loss; see `benchmarks.lenet`. On one data set only."""

from __future__ import annotations

from functools import partial

from benchmarks.lenet import run
from benchmarks.recovery_bench import Bench, Effort, Figures, Journal, spread


def measure(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Percent of the weights removed, and the accuracies, of the sparsest network at no loss and at half a point."""
    if bench.task.name != "digits":
        return {}
    found = [journal.measure(("lenet", f"seed {seed}"), partial(run, seed)) for seed in effort.seeds]
    figures: Figures = {"dense, test": spread([each["dense_test_accuracy"] for each in found])}
    for name in ("at_no_loss", "at_half_a_point"):
        figures[f"removed {name}, %"] = spread([100 * each[name]["removed_share"] for each in found])
        figures[f"test accuracy {name}"] = spread([each[name]["test_accuracy"] for each in found])
    return figures
