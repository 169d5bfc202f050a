import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import Checkpoint, Hook, OnStep, QuantizationAware, Run, Split, TrainingRecipe, finetune
from parefront.training.masks import (
    KeepMasked,
    apply_masks,
    geometric_densities,
    masks_by_density,
    masks_by_threshold,
    overall_density,
    prune_iteratively,
)


def linear(rows: list[list[float]]) -> nn.Sequential:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return nn.Sequential(layer)


def recipe(n_steps: int, **changes: Any) -> TrainingRecipe:
    return TrainingRecipe(**{"n_samples": 16 * n_steps, "learning_rate": 0.1, "batch_size": 16, **changes})


def half(module: nn.Module) -> dict[str, Tensor]:
    return dict(masks_by_density(module, 0.5))


class ZeroAfterEachStep(Hook):
    """Looks at masked weights when all other hooks are done."""

    def __init__(self, masks: dict[str, Tensor]) -> None:
        self.masks, self.n_looks = masks, 0

    def after_step(self, run: Run) -> None:
        for name, mask in self.masks.items():
            assert float(run.module.get_submodule(name).weight.detach()[~mask].abs().sum()) == 0.0
            self.n_looks += 1


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_masked_weights_are_zero_after_every_step_and_the_others_learn(
    model: nn.Sequential, points: Split, optimiser: str
) -> None:
    masks, before = half(model), model[0].weight.detach().clone()
    watch = ZeroAfterEachStep(masks)
    rate = {"learning_rate": 0.01 if optimiser == "adamw" else 0.1}
    hooks = [KeepMasked(masks), watch]
    finetune(model, points, recipe(20, optimiser=optimiser, **rate), functional.cross_entropy, seed=0, hooks=hooks)
    assert watch.n_looks == 40
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight.detach()
        assert weight[~mask].tolist() == [0.0] * int((~mask).sum())
    assert not torch.equal(model[0].weight.detach()[masks["0"]], before[masks["0"]])


def test_momentum_of_an_earlier_training_does_not_bring_them_back(model: nn.Sequential, points: Split) -> None:
    masks = half(model)

    class Pushed(Hook):
        """Gives every weight a momentum before the first step."""

        def start(self, run: Run) -> None:
            for parameter in run.module.parameters():
                run.optimiser.state[parameter]["momentum_buffer"] = torch.ones_like(parameter)

    watch = ZeroAfterEachStep(masks)
    finetune(model, points, recipe(5), functional.cross_entropy, seed=0, hooks=[KeepMasked(masks), Pushed(), watch])
    assert watch.n_looks == 10


def test_masked_gradients_do_not_enter_the_clipped_norm() -> None:
    # The gradient of the sum of y = w1 x1 + w2 x2 is (3, 1000). Only the first counts, its norm 3 is below 5, so it is
    # not clipped: the first step of Nesterov at momentum 0 and a 25th of the peak rate is .5 / 25 * 3.
    model = linear([[2.0, 1.0]])
    plain = TrainingRecipe(n_samples=1, learning_rate=0.5, batch_size=1, weight_decay=0.0, momentum=0.0)
    masks = {"0": torch.tensor([[True, False]])}
    one = Split(torch.tensor([[3.0, 1000.0]]), torch.zeros(1))
    finetune(model, one, plain, lambda outputs, _: outputs.sum(), seed=0, hooks=[KeepMasked(masks)])
    assert model[0].weight.tolist() == [[pytest.approx(2 - 0.5 / 25 * 3), 0.0]]
    # Afterwards its gradient is left alone.
    model.zero_grad()
    model(torch.tensor([[3.0, 1000.0]])).sum().backward()
    assert model[0].weight.grad is not None
    assert model[0].weight.grad.tolist() == [[3.0, 1000.0]]


def test_weights_that_are_rounded_meanwhile_stay_zero(model: nn.Sequential, points: Split) -> None:
    masks = half(model)
    rounding = QuantizationAware({"0": 4})
    last_quarter = recipe(8, quantization_share=0.25)
    finetune(model, points, last_quarter, functional.cross_entropy, seed=0, hooks=[rounding, KeepMasked(masks)])
    assert float(model[0].weight.detach()[~masks["0"]].abs().sum()) == 0.0
    assert float(rounding.weights["0"].decode()[~masks["0"]].abs().sum()) == 0.0
    assert float(rounding.weights["0"].decode().abs().sum()) > 0.0


def test_a_killed_training_goes_on_to_the_same_masked_weights(
    model: nn.Sequential, points: Split, tmp_path: Path
) -> None:
    masks, copied = half(model), copy.deepcopy(model)
    finetune(model, points, recipe(6), functional.cross_entropy, seed=0, hooks=[KeepMasked(masks)])

    def kill(step: int, total: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    def train(on_step: OnStep | None) -> None:
        finetune(
            copied,
            points,
            recipe(6),
            functional.cross_entropy,
            seed=0,
            hooks=[KeepMasked(masks)],
            on_step=on_step,
            checkpoint=Checkpoint(tmp_path / "state.pt", "key", every_s=0.0),
        )

    with pytest.raises(KeyboardInterrupt):
        train(kill)
    train(None)
    assert torch.equal(copied[0].weight, model[0].weight)


def test_a_layer_that_another_hook_replaces_ends_the_training(model: nn.Sequential, points: Split) -> None:
    class Replaces(Hook):
        def before_step(self, run: Run) -> None:
            if run.step == 1:
                run.module[0] = nn.Linear(6, 8)  # type: ignore[operator]

    with pytest.raises(TrainingError, match="a masked layer must stay as it is while it is trained, but '0' was repl"):
        finetune(
            model, points, recipe(3), functional.cross_entropy, seed=0, hooks=[KeepMasked(half(model)), Replaces()]
        )


def test_masks_of_another_network_are_refused(model: nn.Sequential) -> None:
    with pytest.raises(TrainingError, match=r"shape of its weight \(8, 6\), got \(6, 8\) for '0'"):
        apply_masks(model, {"0": torch.ones(6, 8, dtype=torch.bool)})
    with pytest.raises(TrainingError, match="'1' is none of this network"):
        apply_masks(model, {"1": torch.ones(1, dtype=torch.bool)})


def test_the_threshold_is_in_standard_deviations_of_the_layer() -> None:
    # Weights 1, -2, 3, -4: mean -.5, variance 30 / 4 - .25 = 7.25, deviation 2.6926. At quality 1 the threshold keeps
    # 3 and 4; of those alone (mean -.5, variance 25 / 2 - .25 = 12.25, deviation 3.5) quality 1 keeps 4.
    module = linear([[1.0, -2.0], [3.0, -4.0]])
    assert math.sqrt(7.25) == pytest.approx(2.6926, abs=1e-4)
    first = masks_by_threshold(module, 1.0)
    assert first["0"].tolist() == [[False, False], [True, True]]
    assert masks_by_threshold(module, 1.0, within=first)["0"].tolist() == [[False, False], [False, True]]
    assert masks_by_threshold(module, {"0": 0.0})["0"].all()
    assert module[0].weight.tolist() == [[1.0, -2.0], [3.0, -4.0]]


def test_each_layer_has_its_own_quality_and_what_is_not_named_has_no_mask() -> None:
    module = nn.Sequential(*linear([[1.0, 5.0]]), *linear([[1.0], [5.0]]))
    assert set(masks_by_threshold(module, {"1": 1.0})) == {"1"}
    assert set(masks_by_threshold(module, 1.0)) == {"0", "1"}


def test_a_density_keeps_the_largest() -> None:
    module = linear([[1.0, -2.0, 3.0, -4.0]])
    masks = masks_by_density(module, 0.5)
    assert masks["0"].tolist() == [[False, False, True, True]]
    assert overall_density(masks) == 0.5
    # What an earlier round removed does not come back, though its weight has grown.
    earlier = {"0": torch.tensor([[True, True, True, False]])}
    assert masks_by_density(module, 0.5, within=earlier)["0"].tolist() == [[False, True, True, False]]
    # At least one stays, and of equals the first.
    assert masks_by_density(linear([[1.0, 1.0, 1.0, 1.0]]), 0.01)["0"].tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("density", [0.0, -0.5, 1.5, math.nan])
def test_an_impossible_density_is_refused(density: float) -> None:
    with pytest.raises(TrainingError, match="density must be above 0 and at most 1"):
        masks_by_density(linear([[1.0]]), density)


def test_an_impossible_quality_is_refused() -> None:
    with pytest.raises(TrainingError, match="quality must be at least 0, got -1 for '0'"):
        masks_by_threshold(linear([[1.0]]), -1.0)
    with pytest.raises(TrainingError, match="'7' is none of this network"):
        masks_by_threshold(linear([[1.0]]), {"7": 1.0})


def test_geometric_densities_take_the_same_share_each_round() -> None:
    assert geometric_densities(0.125, 3) == pytest.approx((0.5, 0.25, 0.125))
    with pytest.raises(TrainingError, match="rounds must be at least 1 and the final density"):
        geometric_densities(0.0, 3)


def test_pruning_goes_on_where_retraining_left_it() -> None:
    module = linear([[1.0, 2.0, 3.0, 4.0]])

    def retrain(trained: nn.Module, hook: Hook) -> None:
        # Stands for a training in which the order of what is left is turned round: 5 - w where it is not masked.
        assert isinstance(hook, KeepMasked)
        with torch.no_grad():
            trained[0].weight.copy_((5 - trained[0].weight) * hook.masks["0"])  # type: ignore[index]

    selection = [
        lambda trained, masks, density=density: masks_by_density(trained, density, within=masks)
        for density in (0.5, 0.25)
    ]
    rounds = prune_iteratively(module, selection, retrain)
    assert next(rounds)["0"].tolist() == [[False, False, True, True]]  # 3 and 4, which become 2 and 1
    assert module[0].weight.tolist() == [[0.0, 0.0, 2.0, 1.0]]
    assert next(rounds)["0"].tolist() == [[False, False, True, False]]
    assert list(rounds) == []
