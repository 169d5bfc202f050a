import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import prepare, trace
from parefront.spaces.configuration import Configuration
from parefront.training import Hook, Run, Split, TrainingRecipe, finetune
from parefront.training.freezeout import freezing_time, layer_rate, layer_units


def recipe(**changes: Any) -> TrainingRecipe:
    """Ten steps of 16 samples at a rate that falls along a cosine."""
    known = {"n_samples": 160, "learning_rate": 0.1, "batch_size": 16, "schedule": "cosine", "freezeout": "cubic"}
    return TrainingRecipe(**{**known, **changes})


@pytest.fixture
def points() -> Split:
    inputs = torch.randn(64, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs.mean((1, 2, 3)) > 0).long())


def network(configuration: Configuration | None = None) -> nn.Module:
    """Three layers with a BatchNorm behind the first two."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Flatten())
    traced = trace(nn.Sequential(*layers, nn.Linear(64, 2)).eval(), torch.zeros(2, 3, 6, 6))
    return prepare(traced, configuration or Configuration())


class Watch(Hook):
    """What each step left behind."""

    def __init__(self) -> None:
        self.weights: list[list[Tensor]] = []
        self.rates: list[list[float]] = []
        self.has_gradient: list[list[bool]] = []
        self.is_training: list[bool] = []

    def after_step(self, run: Run) -> None:
        layers = [each for each in run.module.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
        self.weights.append([layer.weight.detach().clone() for layer in layers])
        self.has_gradient.append([layer.weight.requires_grad for layer in layers])
        self.rates.append([group["lr"] for group in run.optimiser.param_groups])
        norms = [each for each in run.module.modules() if isinstance(each, nn.BatchNorm2d)]
        self.is_training.append(norms[0].training)


@pytest.mark.parametrize(
    ("growth", "expected"),
    [("linear", (0.8, 0.9, 1.0)), ("squared", (0.64, 0.81, 1.0)), ("cubic", (0.512, 0.729, 1.0))],
)
def test_times_grow_from_the_first_layer_to_the_last(growth: str, expected: tuple[float, ...]) -> None:
    assert [freezing_time(position, 0.8, growth) for position in (0, 0.5, 1)] == pytest.approx(expected)


def test_the_rate_falls_along_the_cosine_in_the_time_of_the_layer() -> None:
    # (1 + cos(pi / 2)) / 2 = 1/2 in the middle of its time, over the time itself where scaled.
    assert layer_rate(0.25, 0.5, recipe()) == pytest.approx(1.0)
    assert layer_rate(0.25, 0.5, recipe(is_freezeout_scaled=False)) == pytest.approx(0.5)
    assert layer_rate(0.0, 0.5, recipe()) == pytest.approx(2.0)


def test_units_are_the_layers_with_what_follows_them() -> None:
    units = layer_units(network())
    assert [unit.name for unit in units] == ["0", "3", "6"]
    assert [len(unit.modules) for unit in units] == [2, 2, 1]
    assert [len(unit.parameters) for unit in units] == [4, 4, 2]


def test_units_of_a_module_without_a_graph_come_as_registered() -> None:
    assert [unit.name for unit in layer_units(nn.Sequential(nn.Linear(2, 3), nn.PReLU(), nn.Linear(3, 1)))] == [
        "0",
        "2",
    ]


def test_layers_freeze_one_after_the_other(points: Split) -> None:
    module, watch = network(), Watch()
    finetune(module, points, recipe(), functional.cross_entropy, seed=0, hooks=[watch])
    # Of ten steps those from 0.512 on leave the first layer alone, those from 0.729 on the second.
    both, one = [False, True, True], [False, False, True]
    assert watch.has_gradient == 6 * [[True] * 3] + 2 * [both] + 2 * [one]
    for layer, last in ((0, 5), (1, 7), (2, 9)):
        moved = [not torch.equal(a[layer], b[layer]) for a, b in zip(watch.weights, watch.weights[1:], strict=False)]
        assert moved == [step < last for step in range(9)]
    assert watch.is_training == 6 * [True] + 4 * [False]
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_the_rates_are_those_of_the_layers(points: Split) -> None:
    watch = Watch()
    finetune(network(), points, recipe(), functional.cross_entropy, seed=0, hooks=[watch])
    assert watch.rates[0] == pytest.approx([0.1 / 0.512, 0.1 / 0.729, 0.1])
    assert watch.rates[5] == pytest.approx([0.1 * layer_rate(0.5, time, recipe()) for time in (0.512, 0.729, 1.0)])
    assert len(watch.rates[9]) == 1


def test_nothing_before_the_first_learning_layer_is_in_the_backward_pass(points: Split) -> None:
    seen: list[bool] = []

    class Look(Hook):
        def start(self, run: Run) -> None:
            run.module.get_submodule("3").register_forward_hook(
                lambda module, inputs, output: seen.append(inputs[0].requires_grad)
            )

    finetune(network(), points, recipe(), functional.cross_entropy, seed=0, hooks=[Look()])
    assert seen == 6 * [True] + 4 * [False]


def test_factors_of_other_hooks_stay(points: Split) -> None:
    class Slower(Hook):
        def start(self, run: Run) -> None:
            (group,) = run.optimiser.param_groups
            classifier = set(run.module.get_submodule("6").parameters())
            others = [each for each in group["params"] if each not in classifier]
            run.optimiser.param_groups[:] = [
                {**group, "params": others},
                {**group, "params": list(classifier), "factor": 0.5},
            ]

    watch = Watch()
    finetune(network(), points, recipe(), functional.cross_entropy, seed=0, hooks=[Slower(), watch])
    assert watch.rates[0] == pytest.approx([0.1 / 0.512, 0.1 / 0.729, 0.05])


def test_a_merged_layer_keeps_the_time_of_its_first(points: Split) -> None:
    watch, module = Watch(), network(Configuration.of({"fold/0": "on"}))
    finetune(module, points, recipe(linearisation=0.3), functional.cross_entropy, seed=0, hooks=[watch])
    assert [len(flags) for flags in watch.has_gradient] == 3 * [3] + 7 * [2]
    assert [flags[0] for flags in watch.has_gradient] == 6 * [True] + 4 * [False]


def test_off_by_default_it_changes_nothing(points: Split) -> None:
    plain = TrainingRecipe(n_samples=160, learning_rate=0.1, batch_size=16)
    watch = Watch()
    finetune(network(), points, plain, functional.cross_entropy, seed=0, hooks=[watch])
    assert all(len(rates) == 1 for rates in watch.rates)


def test_the_same_seed_gives_the_same_weights(points: Split) -> None:
    modules = [network(), network()]
    for module in modules:
        finetune(module, points, recipe(), functional.cross_entropy, seed=0)
    first, second = (copy.deepcopy(module.state_dict()) for module in modules)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_schedule_that_rises_again_is_refused() -> None:
    with pytest.raises(TrainingError, match="one fall, got 'snapshots'"):
        recipe(schedule="snapshots", n_cycles=2)


def test_the_fields_are_checked() -> None:
    with pytest.raises(TrainingError, match="unknown freezeout 'quartic'"):
        recipe(freezeout="quartic")
    with pytest.raises(TrainingError, match="freezeout_start must be above 0"):
        recipe(freezeout_start=0.0)
    with pytest.raises(TrainingError, match="freezeout_start must be between 0 and 1"):
        recipe(freezeout_start=1.5)
