import numpy as np
import torch
from torch import Tensor, fx, nn

from parefront.spaces import trace
from parefront.spaces.channel_follower import follow_channels
from parefront.spaces.channel_map import ChannelMap


def ties(channels: ChannelMap) -> set[tuple[int, int]]:
    pairs = [pair for one, other in channels.ties for pair in zip(one.tolist(), other.tolist(), strict=True)]
    return {(min(pair), max(pair)) for pair in pairs}


class Parts(nn.Module):
    """Everything that has one entry per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.depthwise, self.group_norm = nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.GroupNorm(2, 8)
        self.layer_norm, self.prelu = nn.LayerNorm(8), nn.PReLU(8)
        self.scale = nn.Parameter(torch.linspace(1, 2, 8))
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.group_norm(self.depthwise(self.bn(self.a(x)))))
        return self.fc((self.layer_norm(x.permute(0, 2, 3, 1)) * self.scale).mean((1, 2)))


TWICE = [1, 1, 2, 2, 3, 3, 4, 4]


def test_everything_with_an_entry_per_channel_is_a_holder() -> None:
    channels = trace(Parts(), torch.zeros(2, 3, 4, 4)).follower.map
    assert [(each.name, each.role, each.numbers.tolist()) for each in channels.holders] == [
        ("a", "in", [0, 0, 0]),
        ("a", "out", [1, 2, 3, 4]),
        ("bn", "norm", [1, 2, 3, 4]),
        ("depthwise", "depthwise", [1, 2, 3, 4]),
        ("group_norm", "norm", TWICE),
        ("prelu", "norm", TWICE),
        ("layer_norm", "norm", TWICE),
        ("scale", "parameter", TWICE),
        ("fc", "in", TWICE),
        ("fc", "out", [5, 6]),
    ]
    assert ties(channels) == {(1, 3), (2, 4)}  # the groups of the normalisation lose the channels at the same places


def test_following_computes_nothing() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert type(x) is not Tensor, "the network is run on data"
            return x

    class Opaque(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return True

    model = nn.Sequential(nn.Linear(3, 4), Counts())
    module = fx.GraphModule(model, Opaque().trace(model))
    assert follow_channels(module, (torch.zeros(1, 3),)).n_channels == 5


def test_following_again_tells_what_the_holders_hold_then() -> None:
    network = trace(Parts(), torch.zeros(2, 3, 4, 4))
    pruned = trace(Narrow(), torch.zeros(2, 3, 4, 4)).module  # without channels 2 and 4
    gone = np.array([2, 4])
    found = network.follower.again(pruned, gone, {each.name for each in network.follower.map.holders})
    kept = [each.numbers[~np.isin(each.numbers, gone)].tolist() for each in network.follower.map.holders]
    assert [each.numbers.tolist() for each in found] == kept
    assert network.follower.map.n_channels == 7  # the first walk's findings stay


class Narrow(Parts):
    """As `Parts`, with two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)
        self.depthwise, self.group_norm = nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.GroupNorm(2, 4)
        self.layer_norm, self.prelu = nn.LayerNorm(4), nn.PReLU(4)
        self.scale = nn.Parameter(torch.linspace(1, 2, 4))
        self.fc = nn.Linear(4, 2)
