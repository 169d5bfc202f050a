from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import Configuration, prepare, trace
from parefront.training import KeepMasked, QuantizationAware, Split, TrainingRecipe, finetune
from parefront.training.stored_rounding import StoredRounding


def train(module: nn.Module, points: Split, *hooks: Any, **changes: Any) -> None:
    recipe = TrainingRecipe(**{"n_samples": 128, "learning_rate": 0.1, "batch_size": 16, **changes})
    finetune(module, points, recipe, functional.cross_entropy, seed=0, hooks=hooks)


def test_weights_end_as_their_codes_have_them(model: nn.Sequential, points: Split) -> None:
    hook = StoredRounding({"0": 2, "2": 1})
    train(model, points, hook)
    assert set(hook.weights) == {"0", "2"}
    for name, coded in hook.weights.items():
        weight = model.get_submodule(name).weight
        assert torch.equal(weight, coded.decode())
        assert all(len(row.unique()) <= 4 for row in weight)
    assert not [name for name, _ in model.named_parameters() if "parametrizations" in name]


def test_levels_are_trained_through(points: Split) -> None:
    """Rounded at once, a weight just below the middle of two levels stays; trained, it crosses."""
    line = nn.Sequential(nn.Linear(6, 2))
    with torch.no_grad():
        line[0].weight.fill_(0.1)
    hook = StoredRounding({"0": 1}, duration=1.0)
    train(line, points, hook, n_samples=512)
    signs = hook.weights["0"].decode().sign()[:, 0]
    assert signs.tolist() == [-1.0, 1.0]  # the class is told by the sign of the first input


def test_zeros_stay_zero(model: nn.Sequential, points: Split) -> None:
    mask = torch.rand(8, 6, generator=torch.Generator().manual_seed(1)) > 0.7
    hook = StoredRounding({"0": 4})
    train(model, points, KeepMasked({"0": mask}), hook)
    assert bool((hook.weights["0"].decode()[~mask] == 0).all())


def test_values_may_be_rounded_by_another_hook_at_the_same_time(points: Split, model: nn.Sequential) -> None:
    configuration = Configuration.of({"bits/0": 8, "bits/2": 8, "code/0": "uniform:2"})
    prepared = prepare(trace(model, points.inputs[:2]), configuration)
    rounding, levels = QuantizationAware.of(configuration), StoredRounding.of(configuration)
    assert rounding is not None
    assert levels is not None
    train(prepared, points, rounding, levels, quantization_share=0.5)
    assert set(levels.weights) == {"0"}
    assert torch.equal(prepared.get_submodule("0").weight, levels.weights["0"].decode())
    assert rounding.values


def test_nothing_to_do_is_no_hook() -> None:
    assert StoredRounding.of(Configuration.of({"code/a": "clusters:4"})) is None


def test_what_cannot_be_is_refused(model: nn.Sequential, points: Split) -> None:
    with pytest.raises(TrainingError, match="must be one of 8, 4, 2, 1, got 3 for '0': use 4"):
        StoredRounding({"0": 3})
    with pytest.raises(TrainingError, match="duration must be above 0 and at most 1, got 0"):
        StoredRounding({"0": 4}, duration=0)
    with pytest.raises(TrainingError, match="unknown layer 'x'"):
        train(model, points, StoredRounding({"x": 4}))
