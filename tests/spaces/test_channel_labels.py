from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from parefront.spaces import trace
from parefront.spaces.channel_labels import FIXED, ChannelMap, Holder, follow_channels


class Layers(nn.Module):
    """Two layers that make 4 channels each, numbers 1 to 4 and 5 to 8, and whatever a test does with them."""

    def __init__(self, between: Callable[[Tensor, Tensor], Tensor], n_inputs: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.reader = nn.Conv2d(n_inputs, 2, 1)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.between(self.a(x), self.b(x)))


def followed(between: Callable[[Tensor, Tensor], Tensor], n_inputs: int) -> ChannelMap:
    return trace(Layers(between, n_inputs), torch.zeros(2, 3, 2, 2)).follower.map


def holder(channels: ChannelMap, name: str, role: str) -> Holder:
    (found,) = [each for each in channels.holders if (each.name, each.role) == (name, role)]
    return found


def read(channels: ChannelMap) -> list[int]:
    """The numbers of the channels that the reader reads."""
    return holder(channels, "reader", "in").numbers.tolist()


def ties(channels: ChannelMap) -> set[tuple[int, int]]:
    pairs = [pair for one, other in channels.ties for pair in zip(one.tolist(), other.tolist(), strict=True)]
    return {(min(pair), max(pair)) for pair in pairs}


def fixed(channels: ChannelMap) -> dict[int, str]:
    return {int(number): reason for numbers, reason in channels.fixed for number in numbers if number != FIXED}


PAIRS = {(1, 5), (2, 6), (3, 7), (4, 8)}


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (lambda a, b: torch.cat([a, b], 1), [1, 2, 3, 4, 5, 6, 7, 8]),
        (lambda a, b: torch.cat([b, a[:, 1:3], b], 1), [5, 6, 7, 8, 2, 3, 5, 6, 7, 8]),
        (lambda a, b: torch.cat([a, torch.ones(2, 4, 2, 2)], 1), [1, 2, 3, 4, 0, 0, 0, 0]),
        (lambda a, b: a.flip(1), [4, 3, 2, 1]),
        (lambda a, b: a.roll(1, 1), [4, 1, 2, 3]),
        (lambda a, b: a.narrow(1, 2, 2), [3, 4]),
        (lambda a, b: a[:, [2, 0]], [3, 1]),
        (lambda a, b: a.permute(0, 2, 3, 1).transpose(1, 3).swapaxes(2, 3), [1, 2, 3, 4]),
        (lambda a, b: a.repeat_interleave(2, 1), "give up"),
        (lambda a, b: a.repeat(1, 2, 1, 1), [1, 2, 3, 4, 1, 2, 3, 4]),
        (lambda a, b: torch.relu(functional.max_pool2d(a, 2)), [1, 2, 3, 4]),
        (lambda a, b: functional.pad(a, (1, 2)), [1, 2, 3, 4]),
        (lambda a, b: functional.pad(a, (0, 0, 0, 0, 1, 0)), [0, 1, 2, 3, 4]),
        (lambda a, b: a.sum(2, keepdim=True) * 2, [1, 2, 3, 4]),
        (lambda a, b: a.amax((2, 3))[:, :, None, None].expand(-1, -1, 5, 5), [1, 2, 3, 4]),
        (lambda a, b: a.flatten(1)[..., None, None], [n for n in range(1, 5) for _ in range(4)]),
        (lambda a, b: a.split([1, 3], 1)[1], [2, 3, 4]),
        (lambda a, b: torch.stack(a.unbind(1)[::-1], 1), [4, 3, 2, 1]),
        (lambda a, b: torch.cat(a.chunk(2, 1)[::-1], 1), [3, 4, 1, 2]),
        (lambda a, b: torch.cat(dim=1, tensors=a.chunk(2, 1)), [1, 2, 3, 4]),
        (lambda a, b: a.type_as(b).contiguous().clone(), [1, 2, 3, 4]),
    ],
)
def test_the_reader_knows_what_it_reads(between: Callable[[Tensor, Tensor], Tensor], expected: list[int] | str) -> None:
    with torch.no_grad():
        n_inputs = between(torch.zeros(2, 4, 2, 2), torch.zeros(2, 4, 2, 2)).shape[1]
    channels = followed(between, n_inputs)
    if expected == "give up":
        assert set(read(channels)) == {FIXED}
        assert set(fixed(channels)) >= {1, 2, 3, 4}
    else:
        assert read(channels) == expected
        assert set(fixed(channels)) == set(channels.made["reader"]), "the outputs stay, and no others"


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (lambda a, b: a + b, PAIRS),
        (lambda a, b: torch.maximum(a, b) * 2 + 1, PAIRS),
        (lambda a, b: a * torch.sigmoid(b.mean((2, 3), keepdim=True)), PAIRS),
        (lambda a, b: torch.where(a > 0, a, b), PAIRS),
        (lambda a, b: a * b[:, :1], set()),  # one map for all channels
        (lambda a, b: a + b.flip(1), {(1, 8), (2, 7), (3, 6), (4, 5)}),
        (lambda a, b: torch.stack([a, b], 1)[:, 0], PAIRS),
        (lambda a, b: torch.cat([a, b], 2), PAIRS),
        (lambda a, b: a.reshape(2, 2, 2, 2, 2).flatten(1, 2), {(1, 3), (2, 4)}),
        (lambda a, b: a.reshape(2, 2, 2, 2, 2).transpose(1, 2).flatten(1, 2), {(1, 3), (2, 4)}),
    ],
)
def test_what_meets_is_tied(between: Callable[[Tensor, Tensor], Tensor], expected: set[tuple[int, int]]) -> None:
    assert ties(followed(between, 4)) == expected


def test_a_comparison_cannot_be_followed() -> None:
    reasons = fixed(followed(lambda a, b: torch.cumsum(a, 1) + b, 4))
    assert reasons[1] == "its channels reach 'cumsum', through which they cannot be followed"
    assert reasons[5] == "its channels meet inputs, constants or padding in 'add'"
    assert reasons[9] == "its channels are the model's outputs"


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


def test_a_norm_without_groups_and_a_shared_slope_tie_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(1, 4), nn.PReLU(), nn.Conv2d(4, 2, 1))
    assert ties(trace(model, torch.zeros(1, 3, 2, 2)).follower.map) == set()


def test_a_module_called_twice_must_hold_the_same() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.shared, self.last = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.shared(self.a(x)) - self.shared(self.b(x)))

    channels = trace(Twice(), torch.zeros(1, 3)).follower.map
    assert ties(channels) == set(zip(channels.made["a"].tolist(), channels.made["b"].tolist(), strict=True))
    assert len(channels.made["shared"]) == 2


def test_positions_that_a_linear_layer_mixes_go_together() -> None:
    class Mixer(nn.Module):
        """The second layer works on tokens: it has the channels of the first beside its inputs, not in them."""

        def __init__(self) -> None:
            super().__init__()
            self.embed, self.tokens, self.last = nn.Linear(3, 4), nn.Linear(5, 6), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.tokens(self.embed(x).transpose(1, 2)).transpose(1, 2))

    channels = trace(Mixer(), torch.zeros(2, 5, 3)).follower.map
    assert ties(channels) >= {(1, 2), (1, 3), (1, 4)}


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
