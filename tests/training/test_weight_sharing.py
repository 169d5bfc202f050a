import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.packing import CodedWeight
from parefront.spaces import Configuration, prepare, trace
from parefront.training import (
    Checkpoint,
    KeepMasked,
    OnStep,
    QuantizationAware,
    Split,
    TrainingRecipe,
    finetune,
    masks_by_density,
)
from parefront.training import weight_sharing as tested
from parefront.training.weight_sharing import WeightSharing

PLAIN = {"schedule": "constant", "momentum": 0.0, "weight_decay": 0.0, "max_gradient_norm": 1e9}


@pytest.fixture
def model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def recipe(n_steps: int, **changes: Any) -> TrainingRecipe:
    return TrainingRecipe(**{"n_samples": 16 * n_steps, "learning_rate": 0.1, "batch_size": 16, **changes})


def train(module: nn.Module, points: Split, *hooks: Any, **changes: Any) -> None:
    finetune(module, points, recipe(**{"n_steps": 8, **changes}), functional.cross_entropy, seed=0, hooks=hooks)


def codes_of(
    indices: list[list[int]], codebook: list[float], scale: list[float] | None = None
) -> Callable[..., CodedWeight]:
    coded = CodedWeight(
        torch.tensor(indices, dtype=torch.uint8),
        torch.tensor(codebook),
        None if scale is None else torch.tensor(scale),
    )
    return lambda *_, **__: coded


def summed(outputs: Tensor, _: Tensor) -> Tensor:
    return outputs.sum()


def test_a_value_moves_by_the_sum_of_its_members_gradients_over_their_number(monkeypatch: Any) -> None:
    # y = w · x with x = (1, 2, 4, 8): the gradients are x. Value 1 has the members of 1 and 4, value 2 that of 8: at a
    # rate of .1 they move by .1 · 5 / 2 and .1 · 8; the zero stays.
    monkeypatch.setattr(tested, "share_weights", codes_of([[1, 0, 1, 2]], [0.0, 1.0, -1.0]))
    module, one = nn.Sequential(nn.Linear(4, 1, bias=False)), Split(torch.tensor([[1.0, 2, 4, 8]]), torch.zeros(1))
    hook = WeightSharing({"0": 2}, duration=1.0)
    once = TrainingRecipe(n_samples=1, learning_rate=0.1, batch_size=1, **PLAIN)
    finetune(module, one, once, summed, seed=0, hooks=[hook])
    assert hook.weights["0"].codebook.tolist() == pytest.approx([0.0, 0.75, -1.8])
    assert module[0].weight.tolist() == [pytest.approx([0.75, 0.0, 0.75, -1.8])]


def test_a_scale_per_channel_stays_and_weighs_the_members(monkeypatch: Any) -> None:
    # One value c, scales 1 and 2: the weights (c, 2c) have the gradients 3 and 3. The step -.1 · (3, 3) projected
    # onto (1, 2) is -.1 · (3 + 6) / (1 + 4) = -.18.
    monkeypatch.setattr(tested, "share_weights", codes_of([[0], [0]], [1.0], [1.0, 2.0]))
    module, one = nn.Sequential(nn.Linear(1, 2, bias=False)), Split(torch.tensor([[3.0]]), torch.zeros(1))
    hook = WeightSharing({"0": 1}, duration=1.0)
    once = TrainingRecipe(n_samples=1, learning_rate=0.1, batch_size=1, **PLAIN)
    finetune(module, one, once, summed, seed=0, hooks=[hook])
    assert hook.weights["0"].codebook.tolist() == pytest.approx([0.82])
    assert module[0].weight.flatten().tolist() == pytest.approx([0.82, 1.64])


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_the_weights_are_their_codes_and_zeros_stay(model: nn.Sequential, points: Split, optimiser: str) -> None:
    masks, before = masks_by_density(model, {"0": 0.5}), copy.deepcopy(model.state_dict())
    hook = WeightSharing({"0": 2, "3": 1})
    train(model, points, KeepMasked(masks), hook, optimiser=optimiser)
    assert set(hook.weights) == {"0", "3"}
    for name, coded in hook.weights.items():
        assert torch.equal(model.get_submodule(name).weight, coded.decode())
    assert bool((model[0].weight[~masks["0"]] == 0).all())
    assert len(model[3].weight.unique()) == 2
    assert not torch.equal(model[0].bias, before["0.bias"])
    assert not torch.equal(model[1].weight, before["1.weight"])
    assert set(model.state_dict()) == set(before)


def test_values_learn_from_their_start_on(model: nn.Sequential, points: Split) -> None:
    n_values: list[int] = []

    def look(step: int, total: int) -> None:
        n_values.append(len(model[0].weight.unique()))

    hook = WeightSharing({"0": 2}, duration=0.25)
    finetune(model, points, recipe(8), functional.cross_entropy, seed=0, hooks=[hook], on_step=look)
    assert n_values == [48] * 6 + [4] * 2


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_after", [3, 6, 8])
def test_a_killed_training_goes_on_to_the_same_codes(
    model: nn.Sequential, points: Split, tmp_path: Path, killed_after: int
) -> None:
    masks, again = masks_by_density(model, {"0": 0.5}), copy.deepcopy(model)
    killed = copy.deepcopy(model)
    whole = WeightSharing({"0": 2, "3": 2})
    train(model, points, KeepMasked(masks), whole)

    def go(module: nn.Module, hook: WeightSharing, on_step: OnStep | None) -> None:
        checkpoint = Checkpoint(tmp_path / "state.pt", "key", every_s=0.0)
        hooks = [KeepMasked(masks), hook]
        loss = functional.cross_entropy
        finetune(module, points, recipe(8), loss, seed=0, hooks=hooks, on_step=on_step, checkpoint=checkpoint)

    def kill(step: int, total: int) -> None:
        if step == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        go(killed, WeightSharing({"0": 2, "3": 2}), kill)
    resumed = WeightSharing({"0": 2, "3": 2})
    go(again, resumed, None)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    for name, coded in whole.weights.items():
        assert torch.equal(coded.indices, resumed.weights[name].indices)
        assert torch.equal(coded.codebook, resumed.weights[name].codebook)


def test_shared_weights_may_be_rounded_too(model: nn.Sequential, points: Split) -> None:
    hooks = [QuantizationAware({"0": 8}), WeightSharing({"0": 2})]
    train(model, points, *hooks, quantization_share=0.25)
    assert torch.equal(model[0].weight, hooks[1].weights["0"].decode())  # type: ignore[attr-defined]
    assert len(model[0].weight.unique()) == 4


def test_factors_share_as_their_layer_does(points: Split) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    configuration = Configuration.of({"rank/2": "svd:4", "code/2": "clusters:3", "code/4": "uniform:2"})
    module = prepare(trace(network.eval(), points.inputs[:2]), configuration)
    hook = WeightSharing.of(configuration)
    assert hook is not None
    train(module, points, hook)
    assert {name: coded.shape for name, coded in hook.weights.items()} == {"2.0": (4, 16), "2.1": (16, 4)}
    assert all(len(coded.codebook) <= 8 for coded in hook.weights.values())
    assert WeightSharing.of(Configuration.of({"code/4": "uniform:2", "bits/0": 8})) is None


def test_sharing_waits_for_folded_layers_to_merge(points: Split) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    configuration = Configuration.of({"fold/0": "on"})
    module = prepare(trace(network.eval(), points.inputs[:2]), configuration)
    with pytest.raises(TrainingError, match=r"at most 1 together where activations are folded, got 1.1: lower one"):
        train(copy.deepcopy(module), points, WeightSharing({"0": 2}, duration=0.6, configuration=configuration))
    hook = WeightSharing({"0": 2}, duration=0.5, configuration=configuration)
    train(module, points, hook)
    assert {name: coded.shape for name, coded in hook.weights.items()} == {"0": (2, 6)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": {"0": 9}}, r"bits of shared weights must be 1 to 8, got 9 for '0': use 4"),
        (
            {"bits": {"0": 2}, "duration": 0.0},
            r"duration must be above 0 and at most 1, got 0: 1 shares from the start",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        WeightSharing(**arguments)


def test_layers_and_schedules_that_do_not_fit_are_refused(model: nn.Sequential, points: Split) -> None:
    with pytest.raises(TrainingError, match="unknown layer '7': known layers are 0, 3"):
        train(model, points, WeightSharing({"7": 2}))
    with pytest.raises(TrainingError, match="sharing needs a schedule of one fall, got 'snapshots'"):
        train(model, points, WeightSharing({"0": 2}), schedule="snapshots", n_cycles=2)
