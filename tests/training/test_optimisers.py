import torch
from torch import nn

from parefront.training import TrainingRecipe
from parefront.training.optimisers import build_optimiser, set_rate

RECIPE = TrainingRecipe(n_samples=1, learning_rate=0.5)


def test_all_parameters_that_need_a_gradient_are_in_one_group() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].weight.requires_grad_(False)
    (group,) = build_optimiser(module, RECIPE).param_groups
    assert {id(p) for p in group["params"]} == {id(module[0].bias), id(module[1].weight), id(module[1].bias)}


def test_momentum_and_factors_outlive_a_rebuild() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = build_optimiser(module, RECIPE)
    module(torch.ones(1, 2)).sum().backward()
    before.step()
    first = list(module[0].parameters())
    before.param_groups[0]["params"] = list(module[1].parameters())
    before.add_param_group({"params": first, "factor": 0.25})

    module[1] = nn.Linear(2, 3)  # its parameters are new
    after = build_optimiser(module, RECIPE, before)

    factors = {id(p): group["factor"] for group in after.param_groups for p in group["params"]}
    assert [factors[id(p)] for p in module.parameters()] == [0.25, 0.25, 1.0, 1.0]
    assert set(after.state) == set(first)


def test_each_group_follows_the_rate_by_its_factor() -> None:
    optimiser = build_optimiser(nn.Linear(2, 2), RECIPE)
    optimiser.add_param_group({"params": [nn.Parameter(torch.ones(1))], "factor": 0.5})
    set_rate(optimiser, 0.2)
    assert [group["lr"] for group in optimiser.param_groups] == [0.2, 0.1]


def test_adamw_takes_momentum_as_its_first_beta() -> None:
    optimiser = build_optimiser(nn.Linear(2, 2), TrainingRecipe(n_samples=1, optimiser="adamw", momentum=0.8))
    assert isinstance(optimiser, torch.optim.AdamW)
    assert optimiser.param_groups[0]["betas"][0] == 0.8
