import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.packing import CodedWeight
from parefront.spaces import Configuration, prepare, trace
from parefront.training import OnStep, Split, TrainingRecipe
from parefront.training.schedule import parse_schedule, stage_recipes
from parefront.training.scheduled import ScheduledTraining, Trainer

BASE = TrainingRecipe(n_samples=64, learning_rate=0.05, batch_size=16)
DEEP_COMPRESSION = [
    {"name": "prune", "prune": {"density": {"*": 0.25, "3": 0.5}, "rounds": 2}},
    {"name": "share", "share": {"bits": {"*": 2}}},
    {"name": "settle"},
]


@pytest.fixture
def points() -> Split:
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0] > 0).long())


@pytest.fixture
def model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def scheduled(
    module: nn.Module, points: Split, stages: list[Any], folder: Path | None = None, on_step: OnStep | None = None
) -> ScheduledTraining:
    schedule = parse_schedule({"stages": stages}, "x.yaml")
    trainer = Trainer(points, functional.cross_entropy, lambda _: 50.0, on_step=on_step)
    return ScheduledTraining(module, schedule, stage_recipes(schedule, BASE), trainer, folder=folder, key="k")


def n_kept(module: nn.Sequential) -> tuple[int, int]:
    return int(module[0].weight.count_nonzero()), int(module[3].weight.count_nonzero())


def test_deep_compression_is_kept_up_to_the_end(model: nn.Sequential, points: Split) -> None:
    steps: list[tuple[int, int]] = []
    run = scheduled(model, points, DEEP_COMPRESSION, on_step=lambda step, total: steps.append((step, total)))
    reports = list(run.run())
    # 128 and 32 weights: .25 and .5 of them stay, 32 and 16.
    assert n_kept(model) == (32, 16)
    assert [(each.name, each.does, each.accuracy) for each in reports] == [
        ("prune", "prune", 50.0),
        ("share", "share", 50.0),
        ("settle", "train", 50.0),
    ]
    assert [each.kept_share for each in reports] == pytest.approx([48 / 160] * 3)
    assert [each.bits for each in reports] == [32.0, 2.0, 2.0]
    assert reports[1].size_bytes < reports[0].size_bytes
    assert set(run.weights) == {"0", "3"}
    for name, coded in run.weights.items():
        assert torch.equal(model.get_submodule(name).weight, coded.decode())
    assert steps == [(i, 16) for i in range(1, 17)]  # four trainings of 4 steps


def test_bits_fall_from_stage_to_stage(model: nn.Sequential, points: Split) -> None:
    stages = [{"name": str(bits), "levels": {"bits": {"0": bits}}} for bits in (8, 4, 2)]
    run = scheduled(model, points, stages)
    *_, last = run.run()
    # Some of the weights are rounded to zero; the other layer's 32 have 32 bits.
    n_left = int(model[0].weight.count_nonzero())
    assert n_left > 0
    assert last.bits == pytest.approx((n_left * 2 + 32 * 32) / (n_left + 32))
    assert all(len(row.unique()) <= 4 for row in model[0].weight)
    assert torch.equal(model[0].weight, run.weights["0"].decode())


@pytest.mark.parametrize(
    "stage",
    [
        {"gradual": {"density": {"0": 0.25}, "updates": 2}},
        {"penalise": {"strength": {"0": 0.5}}},
        {"penalise": {"penalty": "l0", "strength": {"0": 0.2}}},
    ],
)
def test_what_a_training_removes_stays_removed(model: nn.Sequential, points: Split, stage: dict[str, Any]) -> None:
    stages = [{"name": "fewer", **stage}, {"name": "settle"}, {"name": "share", "share": {"bits": {"0": 3}}}]
    first, *others = scheduled(model, points, stages).run()
    assert 0 < first.kept_share < 1
    assert [each.kept_share for each in others] == [first.kept_share] * 2


def test_a_prepared_network_with_a_fold_goes_through(points: Split, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 2))
    configuration = Configuration.of({"fold/0": "on"})
    module = prepare(trace(network.eval(), points.inputs[:2]), configuration)
    again = copy.deepcopy(module)
    stages = [{"name": "fold"}, {"name": "share", "share": {"bits": {"*": 2}}}]
    reports = list(scheduled(module, points, stages, tmp_path).run())
    assert [each.bits for each in reports] == [32.0, 2.0]
    # What has ended is not trained again.
    resumed = scheduled(again, points, stages, tmp_path, on_step=killed_at(1))
    assert list(resumed.run()) == reports
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in module.state_dict().items())


class KilledError(Exception):
    pass


def killed_at(step: int) -> Callable[[int, int], None]:
    def kill(done: int, total: int) -> None:
        if done == step:
            raise KilledError

    return kill


@pytest.mark.parametrize("step", [3, 6, 11, 14])
def test_a_killed_run_goes_on_to_the_same_network(
    model: nn.Sequential, points: Split, tmp_path: Path, step: int
) -> None:
    killed, again = copy.deepcopy(model), copy.deepcopy(model)
    whole = scheduled(model, points, DEEP_COMPRESSION)
    reports = list(whole.run())
    with pytest.raises(KilledError):
        list(scheduled(killed, points, DEEP_COMPRESSION, tmp_path, killed_at(step)).run())
    resumed = scheduled(again, points, DEEP_COMPRESSION, tmp_path)
    assert list(resumed.run()) == reports
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert {name: type(each) for name, each in resumed.weights.items()} == dict.fromkeys(("0", "3"), CodedWeight)
    resumed.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"name": "a", "share": {"bits": {"9": 4}}}], r"stage 'a': '9' must match a layer, .*: layers are 0, 3"),
        (
            [{"name": "a", "share": {"bits": {"0": 4}}}, {"name": "b", "prune": {"density": {"*": 0.5}}}],
            r"must be pruned before it is stored in few bits, but stage 'b' prunes '0' behind stage 'a'",
        ),
        (
            [{"name": "a", "prune": {"density": {"0": 0.5}}}, {"name": "b", "levels": {"bits": {"*": 1}}}],
            r"levels of 1 bit must be those of a layer that is not pruned, .* stage 'b' gives them to '0'",
        ),
    ],
)
def test_stages_that_cannot_be_are_refused_before_anything_is_trained(
    model: nn.Sequential, points: Split, stages: list[Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        scheduled(model, points, stages)
