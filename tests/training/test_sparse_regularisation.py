from typing import Any

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import KeepMasked, Split, TrainingRecipe, finetune
from parefront.training.sparse_regularisation import SparseRegularisation, hard_threshold, soft_threshold

ONE_STEP = TrainingRecipe(
    n_samples=1, learning_rate=0.1, batch_size=1, schedule="constant", momentum=0.0, weight_decay=0.0
)


def line(*weights: float) -> nn.Sequential:
    module = nn.Sequential(nn.Linear(len(weights), 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([weights]))
    return module


def summed(outputs: Tensor, _: Tensor) -> Tensor:
    return outputs.sum()


def test_thresholds_are_the_minima_that_they_stand_for() -> None:
    # Soft: nearer to zero by .5. Hard at .5: zero below sqrt(2 · .5) = 1, the rest as it is.
    values = torch.tensor([-2.0, -0.9, 0.3, 1.0])
    assert soft_threshold(values, 0.5).tolist() == pytest.approx([-1.5, -0.4, 0.0, 0.5])
    assert hard_threshold(values, 0.5).tolist() == pytest.approx([-2.0, 0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("penalty", "strength", "expected"),
    [
        # The step takes (1, .3, .1) to (.9, .2, 0) + (0, 0, -.0): each less by .1 · 1. Then l1 takes .1 · 3 more;
        ("l1", 3.0, [0.6, 0.0, 0.0]),
        # l0 removes what is below sqrt(2 · .1 · 3) = .77.
        ("l0", 3.0, [0.9, 0.0, 0.0]),
        ("l0", 0.1, [0.9, 0.2, 0.0]),
    ],
)
def test_a_step_of_the_loss_and_one_of_the_penalty(penalty: Any, strength: float, expected: list[float]) -> None:
    module, one = line(1.0, 0.3, 0.1), Split(torch.ones(1, 3), torch.zeros(1))
    hook = SparseRegularisation({"0": strength}, penalty)
    finetune(module, one, ONE_STEP, summed, seed=0, hooks=[hook])
    assert module[0].weight[0].tolist() == pytest.approx(expected, abs=1e-7)
    assert hook.masks["0"].tolist() == [[value != 0 for value in module[0].weight[0].tolist()]]


def test_the_mask_is_one_to_train_under() -> None:
    module, points = line(1.0, 0.3, 0.1), Split(torch.ones(4, 3), torch.zeros(4))
    hook = SparseRegularisation({"0": 3.0})
    finetune(module, points, ONE_STEP, summed, seed=0, hooks=[hook])
    finetune(module, points, ONE_STEP, summed, seed=0, hooks=[KeepMasked(hook.masks)])
    assert module[0].weight[0].tolist() == [pytest.approx(0.5), 0.0, 0.0]


def test_what_cannot_be_penalised_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"a penalty's strength must be at least 0, got -1 for '0': try 0\.01"):
        SparseRegularisation({"0": -1.0})
    with pytest.raises(TrainingError, match="a penalty must be one of l1, l0, got 'l2': use one"):
        SparseRegularisation({"0": 1.0}, "l2")  # type: ignore[arg-type]
    points = Split(torch.ones(4, 1), torch.zeros(4))
    with pytest.raises(TrainingError, match="unknown layer '7'"):
        finetune(line(1.0), points, ONE_STEP, summed, seed=0, hooks=[SparseRegularisation({"7": 1.0})])
