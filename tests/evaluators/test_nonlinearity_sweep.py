"""Sweeps of the tiny task: ReLUs behind the stem, in the block, behind it, and between the linear layers."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from parefront.evaluators.folded_point import FoldedPoint, SweepSettings, Unfolded
from parefront.evaluators.nonlinearity import Nonlinearity
from parefront.evaluators.nonlinearity_sweep import NonlinearitySweep
from parefront.evaluators.sweep_directory import SweepDirectory
from parefront.hardware_profiles.errors import SearchError, SpaceError
from parefront.tasks import Task, trained_network
from parefront.training import TrainingRecipe

N_ACTIVATIONS = 4


def sweep(task: Task, root: Path, seen: list[tuple[str, int, int]] | None = None, **settings: Any) -> Nonlinearity:
    told = (lambda *step: seen.append(step)) if seen is not None else (lambda *step: None)
    return NonlinearitySweep(task, SweepSettings(**settings), SweepDirectory(root), told).run()


@pytest.fixture(scope="module")
def patient_task(tiny_task: Task) -> Task:
    """Long enough for α to move: 16 steps."""
    return dataclasses.replace(tiny_task, full_recipe=TrainingRecipe(n_samples=1_024, learning_rate=0.05))


@pytest.fixture(scope="module")
def result(patient_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Nonlinearity:
    return sweep(patient_task, tmp_path_factory.mktemp("sweep"), strengths=(0.0, 100.0), n_seeds=2)


def test_without_strength_nothing_goes_and_with_much_of_it_activations_do(result: Nonlinearity) -> None:
    assert result.foldable.n_all == N_ACTIVATIONS
    for point in result.points:
        assert set(point.alphas) == set(result.foldable.names)
        assert set(point.survivors) == {
            *(name for name, alpha in point.alphas.items() if alpha < 0.9),
            *(each.name for each in result.foldable.left_alone),
        }
        if point.strength == 0.0:
            assert (point.n_activations, point.depth, point.macs) == (N_ACTIVATIONS, result.depth, result.macs)
    assert any(point.n_activations < N_ACTIVATIONS for point in result.points if point.strength > 0)


def test_every_point_has_its_scores_and_a_paired_drop(result: Nonlinearity) -> None:
    unfolded = {each.seed: each for each in result.unfolded}
    assert [(point.strength, point.seed) for point in result.points] == [(0.0, 0), (100.0, 0), (0.0, 1), (100.0, 1)]
    for point in result.points:
        before, scores = unfolded[point.seed], point.scores
        assert scores["accuracy_drop"].value == pytest.approx(before.accuracy.value - scores["accuracy"].value)
        assert scores["test_drop"].value == pytest.approx(before.test_accuracy.value - scores["test_accuracy"].value)
        assert {"linear_accuracy", "scratch_accuracy", "scratch_test_accuracy"} <= set(scores)


def test_what_was_found_goes_on_where_it_was(tiny_task: Task, tmp_path: Path) -> None:
    short = {"training": "short", "has_scratch": False}
    first = sweep(tiny_task, tmp_path, strengths=(1.0,), **short)
    steps: list[tuple[str, int, int]] = []
    again = sweep(tiny_task, tmp_path, steps, strengths=(1.0,), **short)
    assert steps == []  # nothing was trained
    assert again == first
    more = sweep(tiny_task, tmp_path, steps, strengths=(1.0, 0.0), **short)
    assert more.points[0] == first.points[0]
    assert {what.partition(":")[0] for what, _, _ in steps} == {"λ 0, seed 0"}
    n_steps = 2 * (256 // 64)  # the tiny task's short recipe, twice
    assert steps[-1][1:] == (n_steps, n_steps)
    with pytest.raises(SearchError, match="must hold results of this network, data and training, got those of others"):
        sweep(tiny_task, tmp_path, strengths=(1.0,), training="short", has_scratch=True)


def test_a_budget_is_met_by_bisection(patient_task: Task, tmp_path: Path) -> None:
    result = sweep(patient_task, tmp_path, budget=N_ACTIVATIONS - 1, has_scratch=False)
    assert result.budget_strength is not None
    (answer,) = [point for point in result.points if point.strength == result.budget_strength]
    assert answer.n_activations <= N_ACTIVATIONS - 1


def test_a_failed_training_is_a_point_with_its_reason(tiny_task: Task, tmp_path: Path) -> None:
    # Only what is trained from scratch, by the baseline's recipe, leaves the numbers' range.
    hasty = dataclasses.replace(
        tiny_task,
        build_network=lambda: trained_network(tiny_task, tiny_task.load_data().train),
        baseline_recipe=None,
        full_recipe=TrainingRecipe(n_samples=256, learning_rate=1e38),
    )
    (point,) = sweep(hasty, tmp_path, strengths=(0.0,), training="short").points
    assert not point.scores
    assert "must stay finite" in point.reason
    assert SweepDirectory(tmp_path).read_point(0.0, 0) == point


class Straight(nn.Module):
    """No activation but the one in front of the pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))


def untrainable(task: Task, build: type[nn.Module]) -> Task:
    """Refuses to be trained: whatever is wrong must be said before."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        raise AssertionError("nothing may be trained")

    return dataclasses.replace(task, build_network=build, loss=loss, baseline_recipe=None)


def test_a_network_without_foldable_activations_is_refused_before_any_training(tiny_task: Task, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"can be folded away, got none in 'tiny' \(relu: it does not stand between"):
        sweep(untrainable(tiny_task, Straight), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_budget_below_what_must_stay_is_refused_before_any_training(tiny_task: Task, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = untrainable(tiny_task, type(tiny_task.build_network()))
    with pytest.raises(SpaceError, match=r"budget must be at least the \d activations that cannot go, got 0"):
        sweep(task, tmp_path, budget=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strengths": ()}, "a sweep must have at least one strength λ, got none"),
        ({"strengths": (0.1, -1.0)}, "a strength λ must be a number of at least 0, got -1"),
        ({"strengths": (float("nan"),)}, "a strength λ must be a number of at least 0, got nan"),
        ({"budget": -1}, "the budget must be at least 0 activations, got -1"),
        ({"n_seeds": 0}, "there must be at least 1 seed, got 0"),
        ({"tolerance_pt": -0.5}, "the tolerance must be at least 0 pt, got -0.5"),
        ({"threshold": 0.0}, "the threshold of α must be above 0 and at most 1, got 0"),
        ({"max_growth": 0.0}, "the growth of merged layers must be above 0, got 0"),
        ({"training": "fast"}, "unknown training 'fast': known ones are short, full"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        SweepSettings(**settings)


def test_values_survive_json(result: Nonlinearity) -> None:
    for point in result.points:
        assert FoldedPoint.from_json(point.to_json()) == point
    for unfolded in result.unfolded:
        assert Unfolded.from_json(unfolded.to_json()) == unfolded


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "point-lambda1.0-seed0.json").write_text("{")
    with pytest.raises(SearchError, match=r"point-lambda1\.0-seed0\.json must be readable JSON, but it is damaged"):
        SweepDirectory(tmp_path).read_point(1.0, 0)
