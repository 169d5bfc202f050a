"""What every section of `benchmarks.recovery` works with: a task's trained network, and a journal of measurements."""

from __future__ import annotations

import dataclasses
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, fx, nn

from parefront.evaluators.calibration_draw import draw_calibration
from parefront.hardware_profiles import load_profile
from parefront.spaces import Choice, Configuration, Finished, find_space, finish, observe, prepare, trace
from parefront.spaces.options import DEFAULT_OPTIONS
from parefront.spaces.simulate import simulate
from parefront.tasks import load_task, trained_network
from parefront.training import Hook, Teacher, TrainingRecipe, finetune, predict

PROFILE = load_profile("cpu-ort-1t")
Figures = dict[str, Any]  # part of the JSON
LEVELS: Mapping[str, tuple[float, bool]] = {
    "pruned 50 %": (0.5, False),
    "pruned 75 %": (0.75, False),
    "pruned 87.5 %": (0.875, False),
    "folded, pruned 50 %": (0.5, True),
}
"""Share of the channels removed everywhere, and whether everything that can be is folded."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        tasks: Names, with the share of the samples of their full recipe that is trained wherever it is not the full
            recipe itself that is in question. The short recipe stays: it has too few steps to lose any.
        seeds: Of the fine-tunes; the baseline is the same in all of them.
        is_quick: Whether the rungs, whose question is the full recipe, take only that share of it, too.
        rung_seeds: Of the rungs, which take longest.
        levels: Names in `LEVELS`.
        n_configurations: Random ones, where a section draws them.
    """

    tasks: Mapping[str, float]
    seeds: tuple[int, ...]
    is_quick: bool
    rung_seeds: tuple[int, ...]
    levels: tuple[str, ...]
    n_configurations: int


FULL = Effort({"cluttered-digits": 0.25, "digits": 1.0}, (0, 1, 2), False, (0,), tuple(LEVELS), 30)
QUICK = Effort({"cluttered-digits": 0.125, "digits": 0.25}, (0,), True, (0,), ("pruned 50 %", "pruned 87.5 %"), 6)


class Journal:
    """Measurements in a file, one JSON object a line; what it holds is not measured again.

    Attributes:
        folder: Beside the file, for what a measurement keeps itself.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.with_suffix("")
        lines = path.read_text().splitlines() if path.is_file() else []
        self._known: dict[str, Figures] = {}
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:  # the line that was being written when the benchmark was killed
                continue
            self._known[found["key"]] = found["figures"]

    def measure(self, key: Sequence[object], work: Callable[[], Figures]) -> Figures:
        """The figures of a measurement, from the file or from `work`, with the CPU seconds it took."""
        name = " / ".join(map(str, key))
        if name not in self._known:
            wall, cpu = time.perf_counter(), time.process_time()
            figures = work()
            seconds = {"cpu_s": round(time.process_time() - cpu, 2), "wall_s": round(time.perf_counter() - wall, 2)}
            self._known[name] = {**seconds, **figures}
            with self._path.open("a") as file:
                file.write(json.dumps({"key": name, "figures": self._known[name]}) + "\n")
            print(f"  {name}: {self._known[name]}", flush=True)
        return self._known[name]


class Bench:
    """A task's data and trained network, and fine-tunes of what is made of it; accuracy is on the validation split."""

    def __init__(self, task_name: str, share: float) -> None:
        task = load_task(task_name)
        self.task, self.data, self.share = task, task.load_data(), share
        self.baseline = trained_network(task, self.data.train)
        drawn = draw_calibration(self.data.train, 0)
        self.calibration = drawn.inputs
        self.network = observe(
            trace(self.baseline, self.data.train.inputs[:2]),
            drawn.inputs,
            DEFAULT_OPTIONS,
            lambda module: task.loss(module(drawn.inputs), drawn.targets),
        )
        self.space = find_space(self.network, PROFILE.capabilities, DEFAULT_OPTIONS)
        self._teacher: Teacher | None = None

    @property
    def teacher(self) -> Teacher:
        """The uncompressed network."""
        if self._teacher is None:
            self._teacher = Teacher(predict(self.baseline, self.data.train), self.task.distance)
        return self._teacher

    @property
    def at_share(self) -> str:
        """The task and how much of its full recipe is trained, for the journal."""
        return self.task.name if self.share == 1 else f"{self.task.name} at {self.share:g} of the full recipe"

    def recipe(self, rung: str, **changes: Any) -> TrainingRecipe:
        """The task's `short` recipe, or its `full` one with so many of its samples, changed."""
        if rung == "short":
            return dataclasses.replace(self.task.short_recipe, **changes)
        recipe = self.task.full_recipe
        return dataclasses.replace(recipe, **{"n_samples": round(recipe.n_samples * self.share), **changes})

    def at_level(self, level: str) -> Configuration:
        """Every group pruned alike, everything folded or nothing."""
        pruned, is_folded = LEVELS[level]
        choices: dict[str, Choice] = {}
        for site in self.space.sites:
            if site.technique == "prune":
                wanted = (1 - pruned) * int(site.choices[0])
                choices[site.name] = min(site.choices, key=lambda choice: abs(int(choice) - wanted))
            elif site.technique == "fold" and is_folded:
                choices[site.name] = site.choices[-1]
        return self.space.canonical(choices)

    def draw(self, rng: random.Random) -> Configuration:
        """A random legal configuration; how often each technique is used is drawn too."""
        shares = {technique: rng.random() for technique in ("prune", "bits", "rank", "fold")}
        chosen = (site for site in self.space.sites if rng.random() < shares[site.technique])
        return self.space.canonical({site.name: rng.choice(site.choices) for site in chosen})

    def tune(
        self, configuration: Configuration, recipe: TrainingRecipe, seed: int, hooks: Sequence[Hook] = ()
    ) -> fx.GraphModule:
        """A configuration, fine-tuned."""
        module = prepare(self.network, configuration)
        self.train(module, recipe, seed, hooks)
        return module

    def train(
        self,
        module: nn.Module,
        recipe: TrainingRecipe,
        seed: int,
        hooks: Sequence[Hook] = (),
        teacher: Teacher | None = None,
    ) -> float:
        """Fine-tunes in place, by default with the uncompressed network as teacher; gives the wall seconds."""
        if recipe.distillation_weight > 0:
            teacher = teacher or self.teacher
        trained = finetune(module, self.data.train, recipe, self.task.loss, seed=seed, teacher=teacher, hooks=hooks)
        return trained.seconds

    def finished_accuracy(self, module: fx.GraphModule, configuration: Configuration) -> float:
        """%, of the deployable form with its rounding."""
        return self.accuracy(computed(finish(module, configuration, self.calibration)))

    def accuracy(self, module: nn.Module) -> float:
        """%, of any module."""
        return self.accuracy_of(predict(module, self.data.validation))

    def accuracy_of(self, outputs: Tensor) -> float:
        """%, of outputs on the validation split."""
        return 100 * float(self.task.score(outputs, self.data.validation.targets).double().mean())


def computed(finished: Finished) -> nn.Module:
    """What a finished network computes, its rounding included."""
    return simulate(finished.module, finished.plan) if finished.plan.layers else finished.module


def spread(values: Sequence[float], digits: int = 2) -> Figures:
    """Mean and standard deviation over seeds (0 for one)."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.mean(values), digits), "std": round(deviation, digits), "n": len(values)}
