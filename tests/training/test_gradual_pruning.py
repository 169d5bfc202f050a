import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import Checkpoint, OnStep, Split, TrainingRecipe, finetune
from parefront.training.gradual_pruning import GradualPruning, cubic_density

RECIPE = TrainingRecipe(n_samples=160, learning_rate=0.1, batch_size=16)


@pytest.fixture
def points() -> Split:
    inputs = torch.randn(32, 10, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0] > 0).long())


@pytest.fixture
def model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2))


def test_density_falls_along_the_cubic() -> None:
    # .2 + .8 · (1 - t)³
    assert [cubic_density(t, 0.2) for t in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.3, 0.2])


def test_weights_go_step_by_step_and_stay_away(model: nn.Sequential, points: Split) -> None:
    with torch.no_grad():
        model[0].weight[:, 0] = 0.0  # these are gone before
    n_left: list[int] = []

    def look(step: int, total: int) -> None:
        n_left.append(int((model[0].weight != 0).sum()))

    hook = GradualPruning({"0": 0.2}, duration=0.4, n_updates=2)
    finetune(model, points, RECIPE, functional.cross_entropy, seed=0, hooks=[hook], on_step=look)
    # Two updates in 4 of 10 steps, before the second and the fourth: 100 · (.2 + .8 / 8) = 30, then 20.
    assert n_left == [90, 30, 30, 20, 20, 20, 20, 20, 20, 20]
    assert int(hook.masks["0"].sum()) == 20
    assert not model[0].weight._backward_hooks


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_after", [2, 7])
def test_a_killed_training_goes_on_to_the_same_masks(
    model: nn.Sequential, points: Split, tmp_path: Path, killed_after: int
) -> None:
    killed, again = copy.deepcopy(model), copy.deepcopy(model)

    def train(module: nn.Module, name: str, on_step: OnStep | None = None) -> GradualPruning:
        hook = GradualPruning({"0": 0.2, "2": 0.5}, duration=0.8, n_updates=8)
        checkpoint = Checkpoint(tmp_path / name, "key", every_s=0.0)
        loss = functional.cross_entropy
        finetune(module, points, RECIPE, loss, seed=0, hooks=[hook], on_step=on_step, checkpoint=checkpoint)
        return hook

    def kill(step: int, total: int) -> None:
        if step == killed_after:
            raise KilledError

    whole = train(model, "whole")
    with pytest.raises(KilledError):
        train(killed, "state", kill)
    resumed = train(again, "state")
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert all(torch.equal(mask, resumed.masks[name]) for name, mask in whole.masks.items())


def test_what_makes_no_sense_is_refused(model: nn.Sequential, points: Split) -> None:
    with pytest.raises(TrainingError, match="density must be above 0 and at most 1, got 0 for '0'"):
        GradualPruning({"0": 0.0})
    with pytest.raises(TrainingError, match="gradual pruning must take a share above 0 and up to 1 of the steps"):
        GradualPruning({"0": 0.5}, duration=0.0)
    with pytest.raises(TrainingError, match="unknown layer '9': known layers are 0, 2"):
        finetune(model, points, RECIPE, functional.cross_entropy, seed=0, hooks=[GradualPruning({"9": 0.5})])
