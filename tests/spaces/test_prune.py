import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import trace
from parefront.spaces.prune import Prune, grid_widths


@pytest.mark.parametrize(
    ("width", "grid", "expected"),
    [
        # Eighths of 64 are multiples of 8 themselves.
        (64, 8, (64, 56, 48, 40, 32, 24, 16, 8)),
        # Eighths of 32 are 28, 24, 20, 16, 12, 8, 4: rounded they are one choice each, 28 rounds up to the full width.
        (32, 8, (32, 24, 16, 8)),
        (48, 16, (48, 32, 16)),
        (16, 8, (16, 8)),
        (20, 8, (20, 16, 8)),
        (8, 8, (8,)),
        (5, 8, (5,)),
        (8, 1, (8, 7, 6, 5, 4, 3, 2, 1)),
    ],
)
def test_widths_are_multiples_of_the_grid_without_duplicates(width: int, grid: int, expected: tuple[int, ...]) -> None:
    assert grid_widths(width, grid) == expected


def test_one_site_per_group_of_coupled_layers(build: Callable[[str], nn.Module], images: Tensor) -> None:
    found = Prune().find_sites(trace(build("residual"), images[:2]), Capabilities(channel_grid=8))
    assert [(site.name, site.layers, site.choices) for site in found.sites] == [
        ("prune/conv1", ("conv1", "layer1.0.conv2"), (16, 8)),
        ("prune/layer1.0.conv1", ("layer1.0.conv1",), (16, 8)),
        ("prune/layer2.0.conv1", ("layer2.0.conv1",), (32, 24, 16, 8)),
        ("prune/layer2.0.conv2", ("layer2.0.conv2", "layer2.0.downsample.0"), (32, 24, 16, 8)),
    ]
    assert [(item.name, item.reason) for item in found.left_alone] == [("fc", "its channels are the model's outputs")]


def test_a_group_too_narrow_for_the_grid_is_left_alone(build: Callable[[str], nn.Module], images: Tensor) -> None:
    found = Prune().find_sites(trace(build("residual"), images[:2]), Capabilities(channel_grid=16))
    assert [site.name for site in found.sites] == ["prune/layer2.0.conv1", "prune/layer2.0.conv2"]
    assert {item.name for item in found.left_alone} >= {"conv1", "layer1.0.conv1"}


def widths(model: nn.Module, inputs: Tensor, grid: int = 8) -> dict[str, tuple[object, ...]]:
    sites = Prune().find_sites(trace(model, inputs), Capabilities(channel_grid=grid)).sites
    return {site.layer: site.choices for site in sites}


def test_the_groups_of_a_convolution_stay_equal() -> None:
    model = nn.Sequential(nn.Conv2d(3, 48, 3), nn.Conv2d(48, 48, 3, groups=3), nn.Flatten(), nn.Linear(48, 4))
    # Multiples of 8 that three groups can share.
    assert widths(model, torch.zeros(1, 3, 5, 5)) == {"0": (48, 24), "1": (48, 24)}


def test_groups_too_many_for_the_grid_go_by_themselves() -> None:
    # The least common multiple of 20 groups and a grid of 8 is 40, which leaves the first layer nothing smaller.
    model = nn.Sequential(nn.Conv2d(3, 40, 3), nn.Conv2d(40, 60, 3, groups=20), nn.Flatten(), nn.Linear(60, 4))
    assert widths(model, torch.zeros(1, 3, 5, 5)) == {"0": (40, 20), "1": (60, 40)}


def test_a_module_called_twice_is_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.twice = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
            self.last = nn.Conv2d(16, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.twice(self.twice(self.a(x))))

    found = Prune().find_sites(trace(Twice(), torch.zeros(1, 3, 4, 4)), Capabilities())
    assert found.sites == ()
    reasons = {item.name: item.reason for item in found.left_alone}
    assert reasons["a"] == "twice is called in several places, or its weight is tied"


def test_a_depthwise_convolution_follows() -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 4, 1))
    found = Prune().find_sites(trace(model, torch.zeros(1, 3, 4, 4)), Capabilities())
    assert [(site.name, site.choices) for site in found.sites] == [("prune/0", (16, 8))]
    reasons = {item.name: item.reason for item in found.left_alone}
    assert reasons["1"] == "it is depthwise: its channels follow those of the layer before it"


def test_prepare_removes_the_least_important_channels(build: Callable[[str], nn.Module], images: Tensor) -> None:
    scores = {"conv1": torch.arange(16.0), "layer1.0.conv2": torch.arange(16.0)}
    network = dataclasses.replace(trace(build("residual"), images[:2]), importances=scores)
    module = copy.deepcopy(network.module)
    Prune().prepare(module, {"conv1": 8, "layer2.0.conv1": 16}, network)
    assert torch.equal(module.conv1.weight, network.module.conv1.weight[8:])
    assert module.get_submodule("layer2.0.conv1").weight.shape == (16, 8, 3, 3)
    assert module(images).shape == (4, 10)


def test_a_group_that_cannot_be_pruned_is_left_alone_with_the_reason() -> None:
    class SpeltOut(nn.Module):
        """Counts on its 16 channels in a way that nothing can follow."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)
            self.fc = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(x)))))
            return self.fc(x.view(-1, 16, 4).mean(2))

    network = trace(SpeltOut(), torch.zeros(2, 3, 2, 2))
    found = Prune().find_sites(network, Capabilities())
    assert [site.name for site in found.sites] == ["prune/conv1", "prune/conv2"]
    reasons = {item.name: item.reason for item in found.left_alone}
    assert set(reasons) == {"conv3", "fc"}
    assert reasons["conv3"].startswith("pruning it fails: ")
