from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces.linearise import LinearisedActivation
from parefront.training import (
    Hook,
    Run,
    Snapshots,
    Split,
    Teacher,
    TrainingRecipe,
    ensemble_outputs,
    finetune,
    snapshot_networks,
)


@pytest.fixture
def points() -> Split:
    inputs = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0] > 0).long())


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def recipe(n_steps: int, n_cycles: int, **changes: Any) -> TrainingRecipe:
    known = {"n_samples": 16 * n_steps, "learning_rate": 0.1, "batch_size": 16, "schedule": "snapshots"}
    return TrainingRecipe(**{**known, "n_cycles": n_cycles, **changes})


class Steps(Hook):
    """The step after which the snapshots grew."""

    def __init__(self, snapshots: Snapshots) -> None:
        self.snapshots, self.found = snapshots, list[int]()

    def after_step(self, run: Run) -> None:
        if len(self.snapshots.states) > len(self.found):
            self.found.append(run.step)


@pytest.mark.parametrize(
    ("n_steps", "n_cycles", "expected"), [(9, 3, [2, 5, 8]), (10, 3, [3, 6, 9]), (4, 4, [0, 1, 2, 3]), (5, 1, [4])]
)
def test_each_cycle_gives_a_network(
    model: nn.Module, points: Split, n_steps: int, n_cycles: int, expected: list[int]
) -> None:
    snapshots = Snapshots()
    steps = Steps(snapshots)
    finetune(model, points, recipe(n_steps, n_cycles), functional.cross_entropy, seed=0, hooks=[snapshots, steps])
    assert steps.found == expected
    last = snapshots.states[-1]
    assert all(torch.equal(value, last[name]) for name, value in model.state_dict().items())
    if n_cycles > 1:
        assert not torch.equal(snapshots.states[0]["0.weight"], last["0.weight"])


def test_snapshots_teach_together(model: nn.Module, points: Split) -> None:
    snapshots = Snapshots()
    finetune(model, points, recipe(20, 4), functional.cross_entropy, seed=0, hooks=[snapshots])
    networks = snapshot_networks(model, snapshots.states)
    assert len(networks) == 4
    outputs = ensemble_outputs(networks, points)
    members = torch.stack([network(points.inputs).softmax(1) for network in networks])
    assert torch.allclose(outputs.softmax(1), members.mean(0), atol=1e-6)
    torch.manual_seed(1)
    student = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    taught = TrainingRecipe(n_samples=800, batch_size=16, distillation_weight=1.0)
    finetune(student, points, taught, functional.cross_entropy, seed=0, teacher=Teacher(outputs))
    agreement = (student(points.inputs).argmax(1) == outputs.argmax(1)).float().mean()
    assert agreement > 0.9


def test_its_state_goes_into_a_checkpoint_and_back() -> None:
    hook, other = Snapshots(), Snapshots()
    hook.states = [{"weight": torch.ones(2)}]
    other.load_state(hook.state())
    assert [state.keys() for state in other.states] == [{"weight"}]
    assert torch.equal(other.states[0]["weight"], torch.ones(2))


def test_a_schedule_without_cycles_is_refused(model: nn.Module, points: Split) -> None:
    plain = TrainingRecipe(n_samples=160, batch_size=16)
    with pytest.raises(TrainingError, match="need schedule 'snapshots', got 'one-cycle'"):
        finetune(model, points, plain, functional.cross_entropy, seed=0, hooks=[Snapshots()])


def test_more_cycles_than_steps_are_refused(model: nn.Module, points: Split) -> None:
    with pytest.raises(TrainingError, match="each of the 5 cycles needs a step, got 3"):
        finetune(model, points, recipe(3, 5), functional.cross_entropy, seed=0, hooks=[Snapshots()])


def test_activations_must_be_linear_before_the_first_cycle_ends(points: Split) -> None:
    folded = nn.Sequential(nn.Linear(2, 4), LinearisedActivation(nn.ReLU()), nn.Linear(4, 2))
    with pytest.raises(TrainingError, match="linear before the first of 2 cycles ends"):
        finetune(folded, points, recipe(10, 2), functional.cross_entropy, seed=0, hooks=[Snapshots()])
    # The first cycle ends with step 4, at 0.4 of the training.
    finetune(folded, points, recipe(10, 2, linearisation=0.4), functional.cross_entropy, seed=0, hooks=[Snapshots()])
