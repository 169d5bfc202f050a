import torch
from torch import Tensor, nn

from parefront.spaces import trace
from parefront.spaces.channel_map import ChannelMap


def ties(channels: ChannelMap) -> set[tuple[int, int]]:
    pairs = [pair for one, other in channels.ties for pair in zip(one.tolist(), other.tolist(), strict=True)]
    return {(min(pair), max(pair)) for pair in pairs}


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
