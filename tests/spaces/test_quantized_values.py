from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.spaces import trace
from parefront.spaces.quantized_values import quantized_values


class Network(nn.Module):
    """Two convolutions and what stands between them, as a function."""

    def __init__(self, between: Callable[[Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(channels, 4, 1)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.tanh(self.second(self.between(self.first(x))))
        return out


def scaled(x: Tensor) -> Tensor:
    """Squeeze-and-excite without its layers."""
    return torch.sigmoid(nn.functional.adaptive_avg_pool2d(x, 1)) * x


@pytest.mark.parametrize(
    ("between", "channels", "expected"),
    [
        (nn.ReLU(), 4, {"between": "between"}),
        (nn.GELU(), 4, {"first": "first", "between": "between"}),
        # The pooled maximum is one of the values: their quantisation is its own.
        (nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), 4, {"between_0": "between_0", "between_1": "between_0"}),
        (lambda x: x.flatten(2).unsqueeze(3), 4, {"first": "first", "flatten": "first", "unsqueeze": "first"}),
        (lambda x: torch.cat([x, torch.relu(x)], 1), 8, {"first": "first", "cat": "cat"}),
        (lambda x: torch.cat([x, x], 1), 8, {"first": "first", "cat": "cat"}),
        (lambda x: torch.relu(x + x.flip(3)), 4, {"first": "first", "relu": "relu"}),
        (
            scaled,
            4,
            {"first": "first", "adaptive_avg_pool2d": "adaptive_avg_pool2d", "sigmoid": "sigmoid", "mul": "mul"},
        ),
    ],
)
def test_values_between_two_int8_layers(
    between: Callable[[Tensor], Tensor], channels: int, expected: dict[str, str]
) -> None:
    module = trace(Network(between, channels), torch.zeros(1, 3, 4, 4)).module
    found = quantized_values(module, {"first", "second"})
    names = {node.name: source.name for node, source in found.items()}
    assert names == {"x": "x", **expected, "second": "second"}


def test_a_sum_that_the_network_returns_stays_in_float() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.first(x) + self.second(x)

    module = trace(Sum(), torch.zeros(1, 3, 4, 4)).module
    assert {node.name for node in quantized_values(module, {"first", "second"})} == {"x", "first", "second"}


def test_a_linear_layer_hands_on_floats_where_no_relu_follows() -> None:
    module = trace(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.ReLU()), torch.zeros(1, 2)).module
    assert {node.name for node in quantized_values(module, {"0", "2"})} == {"input_1", "_1", "_3"}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # The first layer makes integers, and the maximum is one of them.
        ({"first", "second"}, {"x": "x", "between_0": "between_0", "between_1": "between_0", "second": "second"}),
        # It makes floats: only what the maximum leaves is rounded.
        ({"second"}, {"between_1": "between_1", "second": "second"}),
    ],
)
def test_a_maximum_is_taken_where_its_values_are_made(layers: set[str], expected: dict[str, str]) -> None:
    network = Network(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), 4)
    found = quantized_values(trace(network, torch.zeros(1, 3, 4, 4)).module, layers)
    assert {node.name: source.name for node, source in found.items()} == expected


def test_float_values_that_others_read_in_integers_are_pooled_in_integers() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.pool = nn.MaxPool2d(3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return torch.tanh(self.second(x)) + torch.tanh(self.third(self.pool(x)))

    found = quantized_values(trace(Branches(), torch.zeros(1, 3, 4, 4)).module, {"second", "third"})
    assert {node.name: source.name for node, source in found.items()}["pool"] == "first"
