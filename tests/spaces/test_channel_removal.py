"""Which channels go; that pruning is exact is proved in `test_pruning_is_exact.py`."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from parefront.spaces import Network, trace
from parefront.spaces.channel_removal import prune_channels, removal_order


@pytest.fixture
def network() -> Network:
    """Three channels between two layers: of squared norms 4, 1 and 9 in the first, all 1 in the second."""
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.diag(torch.tensor([2.0, 1.0, 3.0])))
        second.weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    return trace(nn.Sequential(first, nn.ReLU(), second).eval(), torch.zeros(2, 3))


def first_to_go(network: Network) -> list[list[int]]:
    """Output channels of the first layer."""
    made = network.follower.map.made["0"].tolist()
    return [[made.index(number) for number in numbers.tolist()] for numbers in removal_order(network, "0")]


def test_the_channels_of_least_weight_go_first_and_one_stays(network: Network) -> None:
    assert first_to_go(network) == [[1], [0]]


def test_measured_importances_count_before_weights(network: Network) -> None:
    measured = replace(network, importances={"0": torch.tensor([3.0, 2.0, 1.0])})
    assert first_to_go(measured) == [[2], [1]]


@pytest.mark.parametrize("width", [2, 1])
def test_they_are_the_ones_that_pruning_takes(network: Network, width: int) -> None:
    module = trace(network.module, network.example_inputs).module
    going = sorted(number for numbers in first_to_go(network)[: 3 - width] for number in numbers)
    assert prune_channels(module, network.follower.map, {"0": width}) == {"0": going}
    assert network.module.get_parameter("0.weight").shape == (3, 3)  # to find them touches nothing
