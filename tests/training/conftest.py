"""A task of a few points, and the least network that learns it."""

import pytest
import torch
from torch import nn

from parefront.training import Split


@pytest.fixture
def points() -> Split:
    inputs = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0] > 0).long())


@pytest.fixture
def model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
