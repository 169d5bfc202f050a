import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import trace
from parefront.spaces.channel_groups import ChannelGroup, channel_importances, find_channel_groups, prune_channels


class Forked(nn.Module):
    """Two convolutions whose maps are concatenated for one that reads both, then flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 4, 3)
        self.both = nn.Conv2d(12, 6, 1)
        self.fc = nn.Linear(6 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.both(torch.cat([self.left(x), self.right(x)], 1)))
        return self.fc(torch.flatten(x, 1))


def test_residual_additions_couple_channels(build: Callable[[str], nn.Module], images: Tensor) -> None:
    groups = find_channel_groups(trace(build("residual"), images[:2]))
    assert [(group.producers, group.width) for group in groups] == [
        (("conv1", "layer1.0.conv2"), 16),
        (("layer1.0.conv1",), 16),
        (("layer2.0.conv1",), 32),
        (("layer2.0.conv2", "layer2.0.downsample.0"), 32),
    ]
    stem = groups[0]
    assert stem.name == "conv1"
    assert [name for name, _ in stem.consumers] == ["layer1.0.conv1", "layer2.0.conv1", "layer2.0.downsample.0"]


def test_the_outputs_are_part_of_no_group(build: Callable[[str], nn.Module], images: Tensor) -> None:
    for kind, last in (("residual", "fc"), ("plain", "head"), ("functional", "fc2")):
        groups = find_channel_groups(trace(build(kind), images[:2]))
        assert last not in {name for group in groups for name in group.producers}


def test_consumers_say_how_many_inputs_a_channel_has(capsys: pytest.CaptureFixture[str]) -> None:
    groups = find_channel_groups(trace(Forked(), torch.zeros(2, 3, 4, 4)))
    assert groups == (
        ChannelGroup(("left",), (("both", 1),), 8),
        ChannelGroup(("right",), (("both", 1),), 4),
        ChannelGroup(("both",), (("fc", 4),), 6),  # of 4 x 4 pixels a 3 x 3 convolution leaves 2 x 2
    )
    # Traced at the first attempt: without the batch axis the concatenation fails, and fx prints the traceback.
    assert capsys.readouterr().err == ""


def test_the_least_important_channels_go() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    with torch.no_grad():
        model[0].weight[[2, 5]] *= 1e-3
        model[2].weight[:, [2, 5]] *= 1e-3
    assert prune_channels(model, torch.zeros(1, 3, 8, 8), {"0": 6}) == {"0": [2, 5]}
    assert model[0].weight.shape == (6, 3, 3, 3)
    assert model[2].weight.shape == (4, 6, 3, 3)


def test_importance_is_the_groups_norm_over_its_mean() -> None:
    # The squared norm of what belongs to each channel, averaged over producer and consumer:
    # (1² + 3²) / 2 = 5 and (2² + 4²) / 2 = 10; over their mean 7.5.
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [2.0]]))
        model[1].weight.copy_(torch.tensor([[3.0, 4.0]]))
    network = trace(model, torch.zeros(1, 1))
    group = find_channel_groups(network)[0]
    importance = channel_importances(network, [group])[group.name]
    torch.testing.assert_close(importance, torch.tensor([5.0, 10.0]) / 7.5)


def test_pruning_is_zeroing_the_removed_channels(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    pruned, zeroed = copy.deepcopy(network.module), copy.deepcopy(network.module)
    removed = prune_channels(pruned, network.example_inputs, {"conv1": 8, "layer2.0.conv1": 16})
    assert [len(removed["conv1"]), len(removed["layer2.0.conv1"])] == [8, 16]
    members = {
        "conv1": [("conv1", "bn1"), ("layer1.0.conv2", "layer1.0.bn2")],  # coupled by the addition
        "layer2.0.conv1": [("layer2.0.conv1", "layer2.0.bn1")],
    }
    with torch.no_grad():
        for root, pairs in members.items():
            for layer, norm in pairs:
                zeroed.get_submodule(layer).weight[removed[root]] = 0
                for name in ("weight", "bias", "running_mean"):
                    getattr(zeroed.get_submodule(norm), name)[removed[root]] = 0
        torch.testing.assert_close(pruned(images), zeroed(images), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(pruned(images), network.module(images), atol=1e-2)


@pytest.mark.parametrize("width", [0, 9])
def test_a_width_out_of_range_is_refused(width: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3))
    with pytest.raises(SpaceError, match=f"'0' must be between 1 and 8, got {width}"):
        prune_channels(model, torch.zeros(1, 3, 8, 8), {"0": width})
    assert prune_channels(model, torch.zeros(1, 3, 8, 8), {"0": 8}) == {}
