"""Sweeps the strength of linearisation, or finds it for a budget; goes on where an earlier session was stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..hardware_profiles.errors import SpaceError, TrainingError
from ..spaces import LeftAlone, trace
from ..spaces.fold_activations import FoldableActivations, depth, find_foldable_activations
from ..tasks import Task, available_network, digest, trained_network
from ..training.nonlinearity import published_strength
from .accuracy import NORMAL_95
from .effective_degree import FoldedNetwork, effective_degree
from .evaluator import Score
from .folded_point import DEFAULT_FACTORS, FoldedPoint, SweepSettings, Unfolded
from .folded_training import FoldedTraining, limits
from .nonlinearity import Nonlinearity
from .strength_bisection import MAX_PROBES, best_strength, next_strength
from .sweep_directory import SweepDirectory

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all)."""


class NonlinearitySweep:
    """One task's sweep; every point is in its directory before the next one starts."""

    def __init__(self, task: Task, settings: SweepSettings, directory: SweepDirectory, progress: Progress) -> None:
        """Loads the data and finds the activations; trains the baseline where it is not trained yet.

        Args:
            task: The task.
            settings: How it is swept.
            directory: Keeps what is found.
            progress: Told how far it is.

        Raises:
            SpaceError: The network has no activation that could go, or the budget is below what must stay.
            SearchError: The directory holds another sweep.
        """
        self._task, self._settings, self._directory, self._progress = task, settings, directory, progress
        self._data = task.load_data()
        inputs = self._data.train.inputs[:2]
        module, _ = available_network(task, self._data.train)
        foldable = find_foldable_activations(trace(module, inputs), limits(settings))
        _check(foldable, task.name, settings.budget)
        baseline = trained_network(
            task, self._data.train, on_step=lambda step, total: progress("training the baseline", step, total)
        )
        self._network, self._foldable = trace(baseline, inputs), foldable
        self._training = FoldedTraining(task, self._data, self._network, foldable, settings, self._on_training)
        self._published = published_strength(self._training.recipe, len(self._data.train))
        self._steps_before = self._steps_in_all = 0
        directory.claim(self._key())

    def run(self) -> Nonlinearity:
        """Goes through the sweep and writes what came out."""
        settings = self._settings
        budget_strength = None
        if settings.budget is None:
            strengths = self._strengths()
            self._plan(len(strengths) * settings.n_seeds)
            points = [self._point(each, seed) for seed in range(settings.n_seeds) for each in strengths]
        else:
            self._plan(MAX_PROBES + settings.n_seeds - 1)
            points, budget_strength = self._within_budget(settings.budget)
        seeds = sorted({point.seed for point in points})
        result = Nonlinearity(
            self._task.name,
            settings,
            self._foldable,
            depth(self._network.module),
            self._network.macs,
            tuple(self._unfolded(seed) for seed in seeds),
            tuple(points),
            effective_degree(_networks(points), self._foldable.n_all, settings.tolerance_pt),
            budget_strength,
        )
        self._directory.write_summary(result.to_json())
        return result

    def _strengths(self) -> list[float]:
        """The λ of the sweep, each once."""
        given = self._settings.strengths
        chosen = given if given is not None else [factor * self._published for factor in DEFAULT_FACTORS]
        return list(dict.fromkeys(chosen))

    def _within_budget(self, budget: int) -> tuple[list[FoldedPoint], float | None]:
        """Finds λ with the first seed, then trains the others with it."""
        points: list[FoldedPoint] = []
        while (strength := next_strength(_tried(points), budget, self._published)) is not None:
            points.append(self._point(strength, 0))
            if points[-1].reason:
                break  # where training fails, more or less strength is a guess
        best = best_strength(_tried(points), budget)
        if best is not None:
            points += [self._point(best, seed) for seed in range(1, self._settings.n_seeds)]
        return points, best

    def _point(self, strength: float, seed: int) -> FoldedPoint:
        """The point as it was kept, or trained now and kept."""
        unfolded = self._unfolded(seed)
        point = self._directory.read_point(strength, seed)
        if point is not None:
            self._steps_in_all -= self._training.n_steps_point
            return point
        started, steps_after = time.perf_counter(), self._steps_before + self._training.n_steps_point
        try:
            point = self._training.point(strength, seed, unfolded)
        except TrainingError as error:
            point = FoldedPoint(strength, seed, reason=str(error))
        point = replace(point, seconds=time.perf_counter() - started)
        self._directory.write_point(point)
        self._steps_before = steps_after  # also where a training failed on the way
        return point

    def _unfolded(self, seed: int) -> Unfolded:
        """The unfolded network's results as they were kept, or trained now and kept."""
        unfolded = self._directory.read_unfolded(seed)
        if unfolded is None:
            unfolded = self._training.unfolded(seed)
            self._directory.write_unfolded(unfolded)
        return unfolded

    def _plan(self, n_points: int) -> None:
        """Sets the steps that the progress counts against; a bisection may end earlier."""
        n_new = sum(self._directory.read_unfolded(seed) is None for seed in range(self._settings.n_seeds))
        self._steps_in_all = n_points * self._training.n_steps_point + n_new * self._training.n_steps_unfolded

    def _on_training(self, what: str, step: int, total: int) -> None:
        self._progress(what, self._steps_before + step, self._steps_in_all)
        if step == total:
            self._steps_before += total

    def _key(self) -> str:
        """SHA-256 over the network, the data and how it is trained."""
        splits = (self._data.train, self._data.validation, self._data.test)
        facts = {
            "weights": digest(self._network.module.state_dict()),
            "data": [digest({"inputs": split.inputs, "targets": split.targets}) for split in splits],
            "recipes": [recipe.to_json() for recipe in (self._training.recipe, self._training.scratch_recipe)],
            "settings": [getattr(self._settings, name) for name in ("threshold", "has_scratch", "max_growth")],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _check(foldable: FoldableActivations, task: str, budget: int | None) -> None:
    if not foldable.names:
        reason = _most_common(foldable.left_alone)
        raise SpaceError(f"the network must have an activation that can be folded away, got none in {task!r}{reason}")
    if budget is not None and budget < len(foldable.left_alone):
        raise SpaceError(
            f"the budget must be at least the {len(foldable.left_alone)} activations that cannot go, got {budget}"
            f"{_most_common(foldable.left_alone)}"
        )


def _most_common(left_alone: Sequence[LeftAlone]) -> str:
    """The reason that most of them have, to end a message with."""
    reasons = [each.reason for each in left_alone]
    if not reasons:
        return ""
    first = next(each for each in left_alone if each.reason == max(reasons, key=reasons.count))
    return f" ({first.name}: {first.reason})"


def _tried(points: Sequence[FoldedPoint]) -> dict[float, int]:
    return {point.strength: point.n_activations for point in points if not point.reason}


def _networks(points: Sequence[FoldedPoint]) -> list[FoldedNetwork]:
    drops = [(point, point.scores["accuracy_drop"]) for point in points if point.scores]
    return [FoldedNetwork(point.seed, point.n_activations, drop.value, _standard_error(drop)) for point, drop in drops]


def _standard_error(score: Score) -> float:
    assert score.low is not None
    return (score.value - score.low) / NORMAL_95
