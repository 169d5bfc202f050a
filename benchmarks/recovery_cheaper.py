"""Cheaper training: FreezeOut, training only the changed segment, snapshots, and starting from a parent's weights."""

from __future__ import annotations

import copy
import random
from functools import partial
from typing import Any

from torch import fx

from benchmarks.recovery_bench import Bench, Effort, Figures, Journal, spread
from parefront.evaluators.inheritance import inherit
from parefront.search.moves import mutate
from parefront.spaces import Configuration, prepare
from parefront.training import (
    OnlySegment,
    Snapshots,
    Teacher,
    changed_layers,
    ensemble_outputs,
    predict,
    snapshot_networks,
)

PARENT = "pruned 50 %"
FREEZEOUT: dict[str, dict[str, Any]] = {
    "off": {},
    **{
        f"{growth}, {'scaled' if is_scaled else 'unscaled'}": {"freezeout": growth, "is_freezeout_scaled": is_scaled}
        for growth in ("linear", "squared", "cubic")
        for is_scaled in (True, False)
    },
}
N_CYCLES = 5
"""Of the snapshots' training, as usual in the literature."""
SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of the short recipe's samples, to see how many steps a start from the parent saves."""


def measure_freezeout(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Accuracy and CPU seconds of the short recipe, with every way to freeze and without."""

    def one(changes: dict[str, Any], seed: int) -> Figures:
        configuration = bench.at_level(PARENT)
        module = prepare(bench.network, configuration)
        seconds = bench.train(module, bench.recipe("short", **changes), seed)
        return {"accuracy": round(bench.finished_accuracy(module, configuration), 3), "train_s": round(seconds, 3)}

    figures: Figures = {}
    for name, changes in FREEZEOUT.items():
        found = [
            journal.measure(("freezeout", bench.task.name, name, f"seed {seed}"), partial(one, changes, seed))
            for seed in effort.seeds
        ]
        figures[name] = {key: spread([each[key] for each in found]) for key in ("accuracy", "train_s")}
    return figures


def measure_segment(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """A local change of a trained parent: everything trained, or only the changed segment."""
    figures: Figures = {}
    for method in ("everything", "segment"):
        found = [
            journal.measure(
                ("segment", bench.task.name, method, f"seed {seed}"), partial(_segment, bench, method, seed)
            )
            for seed in effort.seeds
        ]
        figures[method] = {key: spread([each[key] for each in found]) for key in ("accuracy", "train_s")}
    return figures


def _segment(bench: Bench, method: str, seed: int) -> Figures:
    before, after = bench.at_level(PARENT), _changed(bench, seed)
    module = _inherited(bench, before, after, seed)
    hooks = [OnlySegment(changed_layers(bench.space, after, before))] if method == "segment" else []
    seconds = bench.train(module, bench.recipe("short"), seed, hooks)
    return {"accuracy": round(bench.finished_accuracy(module, after), 3), "train_s": round(seconds, 3)}


def measure_inheritance(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Accuracy by share of the short recipe's steps, from the parent's trained weights and from the pruned baseline's.

    `steps_to_match` is the least share at which the start from the parent is as good as the other one at the end, over
    the mean of the seeds; None where it never is.
    """
    figures: Figures = {}
    means: dict[str, list[float]] = {}
    for start in ("parent", "baseline"):
        for share in SHARES:
            found = []
            for seed in effort.seeds:
                key = ("inheritance", bench.task.name, f"from {start}", f"{share:g} of the steps", f"seed {seed}")
                found.append(journal.measure(key, partial(_from, bench, start, share, seed))["accuracy"])
            figures[f"from {start}, {share:g} of the steps"] = spread(found)
            means.setdefault(start, []).append(sum(found) / len(found))
    matching = (share for share, mean in zip(SHARES, means["parent"], strict=True) if mean >= means["baseline"][-1])
    return {**figures, "steps_to_match": next(matching, None)}


def _from(bench: Bench, start: str, share: float, seed: int) -> Figures:
    after = _changed(bench, seed)
    module = _inherited(bench, bench.at_level(PARENT), after, seed) if start == "parent" else None
    module = module or prepare(bench.network, after)
    recipe = bench.recipe("short")
    bench.train(module, bench.recipe("short", n_samples=round(share * recipe.n_samples)), seed)
    return {"accuracy": round(bench.finished_accuracy(module, after), 3)}


def _changed(bench: Bench, seed: int) -> Configuration:
    """The parent after one to four local moves, never the parent itself."""
    rng, before = random.Random(seed), bench.at_level(PARENT)
    while (after := mutate(bench.space, before, rng)) == before:
        pass
    return after


def _inherited(bench: Bench, before: Configuration, after: Configuration, seed: int) -> fx.GraphModule:
    """What a local change makes of a trained parent."""
    parent = bench.tune(before, bench.recipe("short"), seed)
    module = prepare(bench.network, after)
    inherit(module, bench.network, bench.space, after, before, parent.state_dict())
    return module


def measure_snapshots(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """The ensemble of one training's snapshots against its members, and what a student learns from it."""
    found = [
        journal.measure(("snapshots", bench.at_share, f"seed {seed}"), partial(_snapshots, bench, seed))
        for seed in effort.seeds
    ]
    names = [name for name in found[0] if not name.endswith("_s")]
    return {name: spread([each[name] for each in found]) for name in names}


def _snapshots(bench: Bench, seed: int) -> Figures:
    module, hook = copy.deepcopy(bench.network.module), Snapshots()
    bench.train(module, bench.recipe("full", schedule="snapshots", n_cycles=N_CYCLES), seed, [hook])
    networks = snapshot_networks(module, hook.states)
    plain = copy.deepcopy(bench.network.module)
    bench.train(plain, bench.recipe("full"), seed)
    members = [bench.accuracy(network) for network in networks]
    train = bench.data.train
    teachers = {
        "baseline": bench.teacher,
        "last snapshot": Teacher(predict(networks[-1], train)),
        "ensemble": Teacher(ensemble_outputs(networks, train)),
    }
    figures = {
        "best member": max(members),
        "last member": members[-1],
        "ensemble": bench.accuracy_of(ensemble_outputs(networks, bench.data.validation)),
        "one fall of the rate instead": bench.accuracy(plain),
    }
    configuration = bench.at_level("pruned 87.5 %")
    for name, teacher in teachers.items():
        student = prepare(bench.network, configuration)
        bench.train(student, bench.recipe("short", distillation_weight=0.5), seed, teacher=teacher)
        figures[f"student of {name}"] = bench.finished_accuracy(student, configuration)
    return {name: round(value, 3) for name, value in figures.items()}
