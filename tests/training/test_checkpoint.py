import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import prepare, trace
from parefront.spaces.configuration import Configuration
from parefront.training import Checkpoint, OnStep, Snapshots, Split, TrainingRecipe, finetune

RECIPE = TrainingRecipe(n_samples=160, learning_rate=0.1, batch_size=16)


class KilledError(Exception):
    pass


@pytest.fixture
def points() -> Split:
    inputs = torch.randn(64, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs.mean((1, 2, 3)) > 0).long())


def network() -> nn.Module:
    """Two convolutions with a folded activation between them, which merge half-way."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Dropout(0.2))
    traced = trace(nn.Sequential(*layers, nn.Linear(64, 2)).eval(), torch.zeros(2, 3, 6, 6))
    return prepare(traced, Configuration.of({"fold/0": "on"}))


def test_a_killed_training_ends_as_one_that_was_not(points: Split, tmp_path: Path) -> None:
    whole, killed = network(), network()
    again = copy.deepcopy(killed)
    finetune(whole, points, RECIPE, functional.cross_entropy, seed=3)

    def kill(step: int, total: int) -> None:
        if step == 8:  # behind the merge
            raise KilledError

    path = tmp_path / "checkpoint.pt"
    checkpoint = Checkpoint(path, "key", every_s=0.0)
    with pytest.raises(KilledError):
        finetune(killed, points, RECIPE, functional.cross_entropy, seed=3, on_step=kill, checkpoint=checkpoint)
    torch.manual_seed(99)  # another process
    steps: list[int] = []
    trained = finetune(
        again,
        points,
        RECIPE,
        functional.cross_entropy,
        seed=3,
        on_step=lambda step, total: steps.append(step),
        checkpoint=Checkpoint(path, "key"),
    )

    assert steps == [8, 9, 10]  # step 8 ended without a checkpoint
    assert trained.n_steps == 10
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not path.exists()


def test_a_checkpoint_of_another_training_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    Checkpoint(path, "one").save({"step": 3})
    assert Checkpoint(path, "one").load() == {"step": 3, "key": "one"}
    assert Checkpoint(path, "other").load() is None
    assert Checkpoint(tmp_path / "none.pt", "one").load() is None


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(TrainingError, match="remove it"):
        Checkpoint(path, "one").load()


def test_it_is_written_after_its_time(tmp_path: Path) -> None:
    assert not Checkpoint(tmp_path / "x", "key", every_s=60.0).is_due()
    assert Checkpoint(tmp_path / "x", "key", every_s=0.0).is_due()


def killed_at(step: int) -> OnStep:
    def kill(done: int, total: int) -> None:
        if done == step:
            raise KilledError

    return kill


def test_frozen_layers_stay_frozen(points: Split, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, freezeout="cubic", linearisation=0.2)
    whole, killed, again = network(), network(), network()
    finetune(whole, points, recipe, functional.cross_entropy, seed=3)
    first, second = Checkpoint(tmp_path / "x", "key", every_s=0.0), Checkpoint(tmp_path / "x", "key")
    with pytest.raises(KilledError):  # behind the merge and the first layer's time
        finetune(killed, points, recipe, functional.cross_entropy, seed=3, on_step=killed_at(8), checkpoint=first)
    finetune(again, points, recipe, functional.cross_entropy, seed=3, checkpoint=second)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_what_hooks_hold_is_there_again(points: Split, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, schedule="snapshots", n_cycles=5, linearisation=0.0)
    whole, again = Snapshots(), Snapshots()
    finetune(network(), points, recipe, functional.cross_entropy, seed=3, hooks=[whole])
    first, second = Checkpoint(tmp_path / "x", "key", every_s=0.0), Checkpoint(tmp_path / "x", "key")
    with pytest.raises(KilledError):
        finetune(
            network(),
            points,
            recipe,
            functional.cross_entropy,
            seed=3,
            hooks=[Snapshots()],
            on_step=killed_at(8),
            checkpoint=first,
        )
    finetune(network(), points, recipe, functional.cross_entropy, seed=3, hooks=[again], checkpoint=second)
    assert len(again.states) == 5
    for a, b in zip(whole.states, again.states, strict=True):
        assert all(torch.equal(value, b[name]) for name, value in a.items())
