from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.packing import CirculantWeight, TiedWeight
from parefront.spaces import Configuration, finish, prepare, trace
from parefront.training import Checkpoint, Split, TrainingRecipe, finetune
from parefront.training.tied_training import TiedTraining

CODES = {"0": "flips:2", "4": "circulant:4"}


@pytest.fixture
def pictures() -> Split:
    inputs = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0, 0, 0] > 0).long())


@pytest.fixture
def model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 8), nn.Linear(8, 2)
        return nn.Sequential(*layers)


def train(module: nn.Module, pictures: Split, *hooks: Any, checkpoint: Checkpoint | None = None, **more: Any) -> None:
    recipe = TrainingRecipe(n_samples=128, learning_rate=0.1, batch_size=16)
    finetune(module, pictures, recipe, functional.cross_entropy, seed=0, hooks=hooks, checkpoint=checkpoint, **more)


def test_ties_hold_while_weights_learn(model: nn.Sequential, pictures: Split) -> None:
    before = model[4].weight.detach().clone()
    hook = TiedTraining(CODES)
    train(model, pictures, hook)
    tied, circulant = hook.weights["0"], hook.weights["4"]
    assert isinstance(tied, TiedWeight)
    assert isinstance(circulant, CirculantWeight)
    assert len(tied.base) == 4
    assert circulant.rows.shape == (2, 8, 4)
    for name, each in hook.weights.items():
        assert torch.equal(model.get_submodule(name).weight, each.decode())
    assert not torch.allclose(before, circulant.decode(), atol=1e-3)


def test_a_finished_network_keeps_the_ties_behind_its_norm(model: nn.Sequential, pictures: Split) -> None:
    configuration = Configuration.of({f"code/{name}": code for name, code in CODES.items()})
    prepared = prepare(trace(model.eval(), pictures.inputs[:2]), configuration)
    hook = TiedTraining.of(configuration)
    assert hook is not None
    train(prepared, pictures, hook)
    finished = finish(prepared, configuration, pictures.inputs, stored=hook.weights)
    assert set(finished.stored) == set(CODES)
    for name, each in finished.stored.items():
        assert torch.equal(finished.module.get_submodule(name).weight, each.decode())
    assert TiedTraining.of(Configuration.of({"code/0": "clusters:4"})) is None


def test_a_killed_training_goes_on_to_the_same_weights(model: nn.Sequential, pictures: Split, tmp_path: Path) -> None:
    import copy

    straight, resumed = copy.deepcopy(model), copy.deepcopy(model)
    hook = TiedTraining(CODES)
    train(straight, pictures, hook)

    class Killed(Exception):  # noqa: N818  # no error of ours
        pass

    def kill(step: int, total: int) -> None:
        if step == 5:
            raise Killed

    def checkpoint() -> Checkpoint:
        return Checkpoint(tmp_path / "training", "key", every_s=0.0)

    with pytest.raises(Killed):
        train(copy.deepcopy(model), pictures, TiedTraining(CODES), checkpoint=checkpoint(), on_step=kill)
    again = TiedTraining(CODES)
    train(resumed, pictures, again, checkpoint=checkpoint())
    assert torch.equal(resumed[4].weight, straight[4].weight)
    assert torch.equal(resumed[0].weight, straight[0].weight)
