import torch
from torch import nn

from parefront.hardware_profiles.precision import PrecisionPlan
from parefront.spaces import simulate, trace


def test_a_neutral_plan_is_the_network() -> None:
    module = trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.zeros(1, 2)).module
    x = torch.randn(4, 2)
    simulated = simulate(module, PrecisionPlan.none())
    assert simulated is not module
    assert torch.equal(simulated(x), module(x))
