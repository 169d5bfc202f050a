import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import Split, TrainingRecipe, finetune
from parefront.training.nonlinearity import (
    LearnedLinearity,
    LinearityPenalty,
    forget_linearity,
    learn_linearity,
    learned_activations,
    linear_names,
    published_strength,
    restore_activations,
    settle_linearity,
)


def recipe(n_steps: int, **changes: Any) -> TrainingRecipe:
    return TrainingRecipe(
        **{
            "n_samples": 4 * n_steps,
            "learning_rate": 0.1,
            "batch_size": 4,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "schedule": "constant",
            "max_gradient_norm": 1e9,
            **changes,
        }
    )


def points() -> Split:
    return Split(torch.randn(16, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(16, dtype=torch.long))


def learned(*alphas: float) -> nn.Sequential:
    """Activations with these α, none of which the outputs depend on: a linear layer at the end multiplies by 0."""
    module = nn.Sequential(*[LearnedLinearity(nn.ReLU()) for _ in alphas], nn.Linear(2, 2))
    with torch.no_grad():
        for each, alpha in zip(learned_activations(module).values(), alphas, strict=True):
            each.alpha.fill_(alpha)
        module[-1].weight.zero_()
    return module


def nothing(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.sum() * 0


def test_it_lies_between_the_activation_and_the_identity() -> None:
    activation = LearnedLinearity(nn.ReLU(inplace=True))
    x = torch.tensor([-2.0, 3.0])
    assert activation(x).tolist() == [0.0, 3.0]
    for alpha, expected in ((0.25, -0.5), (1.0, -2.0)):
        activation.alpha.data.fill_(alpha)
        assert activation(x).tolist() == [expected, 3.0]  # a PReLU of slope α
    assert x.tolist() == [-2.0, 3.0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_at_its_start_nothing_changes(precision: str) -> None:
    module = nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 2))
    copied = copy.deepcopy(module)
    learn_linearity(copied, ["1"])
    x = points().inputs
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        assert torch.equal(copied(x), module(x))
    assert list(learned_activations(copied)) == ["1"]


def test_one_step_by_hand() -> None:
    # The penalty 2 |1 - α²| alone: its gradient at .5 is -2 * 2 * .5, so a rate of .1 moves α to .7. At 0 it is 0.
    module = learned(0.5, 0.0)
    trained = finetune(module, points(), recipe(1), nothing, seed=0, hooks=[LinearityPenalty(2.0)])
    alphas = [each.alpha.item() for each in learned_activations(module).values()]
    assert alphas == pytest.approx([0.7, 0.0])
    assert trained.final_loss == pytest.approx(2.0 * (0.75 + 1.0))


def test_alpha_stays_between_0_and_1() -> None:
    module = learned(0.9, 0.1)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        second = list(learned_activations(module).values())[1]
        return outputs.sum() * 0 + 100 * second.alpha  # pulls it far below 0

    finetune(module, points(), recipe(3), loss, seed=0, hooks=[LinearityPenalty(50.0)])
    assert [each.alpha.item() for each in learned_activations(module).values()] == [1.0, 0.0]


def test_the_task_decides_which_activation_goes() -> None:
    # |x| needs its activation, a line does not: both from relu(±x) summed, under the same pull.
    inputs = torch.randn(256, 1, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, targets in (("bent", inputs.abs()), ("straight", inputs)):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
        fitting = recipe(200, batch_size=64, n_samples=64 * 200, learning_rate=0.05, momentum=0.9)
        finetune(module, Split(inputs, targets), fitting, functional.mse_loss, seed=0)
        learn_linearity(module, ["1"])
        finetune(module, Split(inputs, targets), fitting, functional.mse_loss, seed=0, hooks=[LinearityPenalty(0.2)])
        found[name] = settle_linearity(module)["1"]
    assert found["straight"] >= 0.9
    assert found["bent"] < 0.5


def test_from_the_threshold_on_alpha_is_1_and_the_others_stay_as_trained_and_fixed() -> None:
    module = learned(0.9, 0.89, 0.0)
    alphas = settle_linearity(module, threshold=0.9 - 1e-6)
    assert alphas == pytest.approx({"0": 0.9, "1": 0.89, "2": 0.0})
    assert linear_names(alphas, 0.9 - 1e-6) == {"0"}
    settled = learned_activations(module)
    assert [each.alpha.item() for each in settled.values()] == pytest.approx([1.0, 0.89, 0.0])
    assert not any(each.alpha.requires_grad for each in settled.values())


def test_activations_come_back_and_alphas_are_forgotten() -> None:
    module = learned(1.0, 0.5)
    restore_activations(module, ["0"])
    assert isinstance(module[0], nn.ReLU)
    forget_linearity(module)
    assert module[1].alpha.item() == 0.0


@pytest.mark.parametrize("strength", [-0.1, math.inf, math.nan])
def test_a_strength_below_0_is_refused(strength: float) -> None:
    with pytest.raises(TrainingError, match="strength λ of linearisation must be a number of at least 0, got"):
        LinearityPenalty(strength)


def test_without_activations_there_is_no_penalty() -> None:
    module = nn.Linear(2, 2)
    trained = finetune(module, points(), recipe(1), nothing, seed=0, hooks=[LinearityPenalty(1.0)])
    assert trained.final_loss == 0.0


def test_the_published_strength_is_that_of_the_published_training() -> None:
    published = TrainingRecipe(
        n_epochs=100, learning_rate=1e-3, batch_size=128, momentum=0.9, weight_decay=0.0, schedule="constant"
    )
    assert published_strength(published, 391 * 128) == 0.25
    tenth = TrainingRecipe(n_epochs=10, learning_rate=1e-3, batch_size=128, momentum=0.9, schedule="constant")
    assert published_strength(tenth, 391 * 128) == 2.5
