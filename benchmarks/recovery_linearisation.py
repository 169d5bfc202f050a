"""Activation linearisation: depth against accuracy by λ, the effective degree of non-linearity, folded against scratch.

From residual networks of 20 and of 32 layers (He et al. 2016), to see whether the degree comes out the same. They see
the digits at half their size, 16 x 16, in three equal channels: a quarter of the time.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from benchmarks.recovery_bench import Bench, Effort, Figures, Journal, spread
from parefront.evaluators.folded_point import SweepSettings
from parefront.evaluators.nonlinearity_sweep import NonlinearitySweep
from parefront.evaluators.sweep_directory import SweepDirectory
from parefront.tasks import Task, TaskData
from parefront.tasks.residual_networks import CifarResNet
from parefront.training import Split

DEPTHS = (20, 32)
STRENGTHS = (0.05, 0.25, 0.5, 1.0, 4.0)


def measure(bench: Bench, effort: Effort, journal: Journal) -> Figures:
    """Per start: the degree with its interval, and by λ what is left, what it costs and what scratch reaches."""
    figures: Figures = {}
    for layers in DEPTHS:
        swept = f"{len(effort.seeds)} seeds, λ {', '.join(f'{each:g}' for each in _strengths(effort))}"
        key = ("linearisation", bench.at_share, f"{layers} layers", swept)
        found = journal.measure(key, partial(_sweep, bench, effort, journal, layers))
        figures[f"{layers} layers"] = found
    return figures


def _strengths(effort: Effort) -> tuple[float, ...]:
    return STRENGTHS[1::3] if effort.is_quick else STRENGTHS


def _sweep(bench: Bench, effort: Effort, journal: Journal, layers: int) -> Figures:
    strengths = _strengths(effort)
    settings = SweepSettings(strengths, n_seeds=len(effort.seeds), training="full")
    task = _task(bench.task, layers, bench.share)
    # Every training of a sweep is kept here, so that a killed one goes on.
    directory = SweepDirectory(journal.folder / task.name)
    directory.root.mkdir(parents=True, exist_ok=True)
    result = NonlinearitySweep(task, settings, directory, lambda what, step, total: None).run()
    figures: Figures = {
        "activations": result.foldable.n_all,
        "degree": result.degree.n_activations,
        "degree_low": result.degree.low,
        "degree_high": result.degree.high,
        "unfolded accuracy": spread([each.accuracy.value for each in result.unfolded]),
    }
    for strength in strengths:
        points = [point for point in result.points if point.strength == strength and point.scores]
        if not points:
            figures[f"λ {strength:g}"] = "every training failed"
            continue
        figures[f"λ {strength:g}"] = {
            "activations left": spread([point.n_activations for point in points]),
            "depth": spread([point.depth for point in points]),
            "accuracy_drop": spread([point.scores["accuracy_drop"].value for point in points]),
            "accuracy": spread([point.scores["accuracy"].value for point in points]),
            "from scratch": spread([point.scores["scratch_accuracy"].value for point in points]),
        }
    return figures


def _task(base: Task, layers: int, share: float) -> Task:
    recipes = {
        name: dataclasses.replace(recipe, n_samples=round(share * recipe.n_samples))
        for name in ("baseline_recipe", "full_recipe")
        if (recipe := getattr(base, name)) is not None
    }
    return dataclasses.replace(
        base,
        name=f"{base.name}-resnet{layers}",
        build_network=partial(_resnet, layers),
        load_data=partial(_three_channels, base),
        usable_accuracy=0.0,
        **recipes,
    )


def _resnet(layers: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CifarResNet((layers - 2) // 6)


def _three_channels(base: Task) -> TaskData:
    data = base.load_data()

    def convert(split: Split) -> Split:
        small = functional.avg_pool2d(split.inputs, 2).repeat(1, 3, 1, 1)
        return Split(small, split.targets, split.origins)

    return TaskData(convert(data.train), convert(data.validation), convert(data.test))
