from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.spaces import trace
from parefront.spaces.channel_map import FIXED, ChannelMap, Holder


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


def test_a_norm_without_groups_and_a_shared_slope_tie_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(1, 4), nn.PReLU(), nn.Conv2d(4, 2, 1))
    assert ties(trace(model, torch.zeros(1, 3, 2, 2)).follower.map) == set()
