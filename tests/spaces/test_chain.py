"""Which layers may be merged, and why not where they may not."""

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Network, trace
from parefront.spaces.fold import Fold


def conv(inner: int, outer: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, padding)


def fold_sites(network: Network) -> list[str]:
    return [site.name for site in Fold().find_sites(network, Capabilities()).sites]


def reasons(network: Network) -> list[str]:
    return [item.reason for item in Fold().find_sites(network, Capabilities()).left_alone]


def sequence(*layers: nn.Module) -> Network:
    channels = next(layer.in_channels for layer in layers if isinstance(layer, nn.Conv2d))
    return trace(nn.Sequential(*layers), torch.zeros(2, channels, 9, 9))


def test_a_plain_pair_is_a_site() -> None:
    network = sequence(conv(4, 6, 3), nn.ReLU(), conv(6, 5, 3))
    assert fold_sites(network) == ["fold/0"]
    assert reasons(network) == []


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=2)), "grouped or dilated"),
        ((nn.Conv2d(4, 6, 3, dilation=2), nn.ReLU(), nn.Conv2d(6, 5, 1)), "grouped or dilated"),
        ((nn.Conv2d(4, 6, 5), nn.ReLU(), nn.Conv2d(6, 5, 3)), "7 wide, more than 5"),
        ((nn.Conv2d(4, 6, 3, 2), nn.ReLU(), nn.Conv2d(6, 5, 3)), "7 wide, more than 5"),
        ((nn.Conv2d(4, 6, 3, padding="same"), nn.ReLU(), nn.Conv2d(6, 5, 1)), "not given in numbers"),
        (
            (
                nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
                nn.ReLU(),
                nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect"),
            ),
            "other than zeros",
        ),
        ((nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2)), "does not stand between"),
        ((nn.Conv2d(4, 6, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 5, 1)), "does not stand between"),
        ((nn.Conv2d(4, 6, 3), nn.InstanceNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 1)), "does not stand between"),
    ],
)
def test_what_cannot_be_merged_is_left_alone(layers: tuple[nn.Module, ...], reason: str) -> None:
    network = sequence(*layers)
    assert fold_sites(network) == []
    assert len(reasons(network)) == 1
    assert reason in reasons(network)[0]


@pytest.mark.parametrize("where", ["before the activation", "behind the activation", "behind the norm"])
def test_a_value_that_others_read_is_not_folded_away(where: str) -> None:
    class TwoReaders(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(4, 6, 3, 1, 1), conv(6, 6, 3, 1, 1)
            self.norm, self.relu = nn.BatchNorm2d(6), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            value = self.first(x)
            normed = self.norm(value)
            active = self.relu(normed)
            other = {"before the activation": value, "behind the activation": active, "behind the norm": normed}
            return self.second(active) + other[where]

    network = trace(TwoReaders(), torch.zeros(1, 4, 9, 9))
    assert fold_sites(network) == []
    assert "read in several places" in reasons(network)[0]
