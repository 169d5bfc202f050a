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


def test_a_grouped_convolution_is_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, groups=2), nn.Flatten(), nn.Linear(16, 4))
    found = Prune().find_sites(trace(model, torch.zeros(1, 3, 5, 5)), Capabilities())
    assert "1" in {item.name for item in found.left_alone}


def test_a_group_that_cannot_be_pruned_is_left_alone_with_the_reason() -> None:
    class SpeltOut(nn.Module):
        """Counts on its 16 channels in a way that nothing can follow."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)
            self.fc = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(x)))))
            return self.fc(x.view(-1, 2, 8, 4).mean((1, 3)))

    network = trace(SpeltOut(), torch.zeros(2, 3, 2, 2))
    found = Prune().find_sites(network, Capabilities())
    assert [site.name for site in found.sites] == ["prune/conv1", "prune/conv2"]
    reasons = {item.name: item.reason for item in found.left_alone}
    assert set(reasons) == {"conv3", "fc"}
    assert reasons["conv3"].startswith("pruning it fails: ")
