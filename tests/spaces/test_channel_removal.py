"""Which channels go; that pruning is exact is proved in `test_pruning_is_exact.py`."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Network, trace
from parefront.spaces.channel_removal import prune_channels, weakest_channels


@pytest.fixture
def network() -> Network:
    """Three channels between two layers: of squared norms 4, 1 and 9 in the first, all 1 in the second."""
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.diag(torch.tensor([2.0, 1.0, 3.0])))
        second.weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    return trace(nn.Sequential(first, nn.ReLU(), second).eval(), torch.zeros(2, 3))


def weakest(network: Network, width: int) -> list[int]:
    """Output channels of the first layer."""
    made = network.follower.map.made["0"].tolist()
    return sorted(made.index(number) for number in weakest_channels(network, {"0": width}).tolist())


def test_the_weakest_channels_are_those_of_least_weight(network: Network) -> None:
    assert [weakest(network, width) for width in (3, 2, 1)] == [[], [1], [0, 1]]


def test_measured_importances_count_before_weights(network: Network) -> None:
    measured = replace(network, importances={"0": torch.tensor([3.0, 2.0, 1.0])})
    assert [weakest(measured, width) for width in (2, 1)] == [[2], [1, 2]]


def test_they_are_the_ones_that_pruning_takes(network: Network) -> None:
    module = trace(network.module, network.example_inputs).module
    assert prune_channels(module, network.follower.map, {"0": 1}) == {"0": weakest(network, 1)}
    assert network.module.get_parameter("0.weight").shape == (3, 3)  # to find them touches nothing


@pytest.mark.parametrize(
    ("widths", "message"),
    [({"0": 4}, "between 1 and 3, got 4"), ({"0": 0}, "between 1 and 3, got 0"), ({"2": 1}, "cannot be removed")],
)
def test_widths_that_cannot_be_are_refused(network: Network, widths: dict[str, int], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        weakest_channels(network, widths)
