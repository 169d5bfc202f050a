from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, fx, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import trace
from parefront.spaces.tracing import trace_graph


class Model(nn.Module):
    """Whatever forward a test wants, with two layers to call."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 1), nn.Linear(4, 4)
        self.run = forward

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


@fx.wrap
def doubled(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = x + x
    return x


def line_of(text: str) -> int:
    """The line of this file on which a text stands first."""
    return 1 + next(i for i, line in enumerate(Path(__file__).read_text().splitlines()) if text in line)


def by_range(m: Model, x: Tensor) -> Tensor:
    x = m.conv(x)
    total = torch.zeros_like(x[:, 0])
    for i in range(x.shape[1]):
        total = total + i * x[:, i]
    return total


def by_unpacking(m: Model, x: Tensor) -> Tensor:
    red, green, _ = x.unbind(1)
    n, channels, height, width = x.shape
    first, second = m.conv(x).split([1, 3], dim=1)
    return (red * green).reshape(n, height * width) + first.flatten(1) * channels - second.sum(1).flatten(1)


def by_iteration(m: Model, x: Tensor) -> Tensor:
    rows = [row.mean((1, 2)) for row in m.conv(x).transpose(0, 1)]
    return torch.stack([row for row, _ in zip(rows, range(3), strict=False)], 1)


def by_wrapped_function(m: Model, x: Tensor) -> Tensor:
    return m.conv(doubled(x, 2))


def by_constants(m: Model, x: Tensor) -> Tensor:
    mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -9.0)
    return m.conv(x).mean((2, 3)) @ torch.softmax(mask + m.linear.weight, 1)


FORWARDS = [
    by_range,
    by_unpacking,
    by_iteration,
    by_wrapped_function,
    by_constants,
]


@pytest.mark.parametrize("forward", FORWARDS)
def test_the_graph_computes_what_the_forward_computes_at_any_batch_size(forward: Callable[..., Any]) -> None:
    model = Model(forward).eval()
    network = trace(model, torch.zeros(2, 3, 4, 4))
    inputs = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.module(inputs), model(inputs))
    assert network.left_alone == ()


def test_functions_that_a_library_hides_are_looked_into() -> None:
    module, _ = trace_graph(Model(by_wrapped_function), (torch.zeros(2, 3, 4, 4),))
    called = [node.target for node in module.graph.nodes if node.op == "call_function"]
    assert doubled not in called
    assert len(called) == 2  # each doubling is one sum


def test_what_no_input_reaches_is_computed_once() -> None:
    network = trace(Model(by_constants), torch.zeros(2, 3, 4, 4))
    called = [node.target for node in network.module.graph.nodes if node.op in ("call_function", "call_method")]
    assert len(called) == 2, "a mean and a product; the softmax of the masked weights is a constant"


def test_arguments_beyond_the_examples_have_their_defaults() -> None:
    class Optional(nn.Module):
        def forward(self, x: Tensor, scale: float = 3.0, extra: Tensor | None = None) -> Tensor:
            return x * scale if extra is None else x + extra

    assert torch.equal(trace(Optional(), torch.zeros(1, 2)).module(torch.ones(1, 2)), torch.full((1, 2), 3.0))


# What cannot be a graph stays one node, by name and line; the rest is traced all the same.


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # the line on which the gate decides
            return self.linear(x)
        return -x


class Writes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        x[:, 0] = 0  # the line on which part of a tensor is written
        return x


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is turned around."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Reversing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Reversed.apply(x)  # the line with a gradient of its own


class Around(nn.Module):
    """A module between two layers."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(3, 4), inner, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(torch.relu(self.first(x))))


@pytest.mark.parametrize(
    ("inner", "what", "line"),
    [
        (Gate(), "data-dependent control flow", "the line on which the gate decides"),
        (Writes(), "part of a tensor is overwritten", "the line on which part of a tensor is written"),
        (Reversing(), "Reversed has a gradient of its own, which a graph would lose", "the line with a gradient"),
    ],
    ids=["control-flow", "writing", "gradient"],
)
def test_a_module_that_cannot_be_a_graph_is_one_node(inner: nn.Module, what: str, line: str) -> None:
    model = Around(inner).eval()
    network = trace(model, torch.zeros(2, 3))
    (item,) = network.left_alone
    assert (item.technique, item.name) == ("all", "inner")
    assert item.reason == f"its forward cannot be traced: {what} ({__file__}:{line_of(line)})"
    assert [layer.name for layer in network.layers] == ["first", "last"]
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.module(inputs), model(inputs))
    assert torch.equal(network.module(-inputs), model(-inputs))


def test_a_gradient_of_its_own_survives() -> None:
    inputs = torch.ones(1, 2, requires_grad=True)
    trace(nn.Sequential(Reversing()), torch.zeros(1, 2)).module(inputs).sum().backward()
    assert torch.equal(inputs.grad, -torch.ones(1, 2))


@pytest.mark.parametrize("inner", [Gate(), Writes()], ids=["control-flow", "writing"])
def test_what_cannot_be_a_graph_at_the_root_is_refused_with_the_line(inner: nn.Module) -> None:
    with pytest.raises(SpaceError) as error:
        trace(inner, torch.zeros(2, 4))
    message = str(error.value)
    assert message.startswith("the network's forward must be traceable, but module '(root)' is not: ")
    assert f"({__file__}:" in message
    assert message.endswith("; move what depends on the data out of it, into a module of its own")
    assert "\n" not in message


def test_a_forward_that_fails_is_refused_with_the_operation() -> None:
    with pytest.raises(SpaceError, match=r"input of shape \(2, 3, 4, 4\), but 'linear' failed: mat1 and mat2"):
        trace(Model(lambda m, x: m.linear(x.flatten(2))), torch.zeros(2, 3, 4, 4))


def shuffle_net() -> nn.Module:
    return torchvision.models.ShuffleNetV2([2, 1, 1], [8, 16, 32, 64, 32], num_classes=5)


def swin() -> nn.Module:
    return torchvision.models.SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=5)


@pytest.mark.parametrize(
    ("build", "n_layers"),
    [
        # The first and the last convolution, the classifier; 5 layers in the first unit of a stage and 3 in the others.
        (shuffle_net, 3 + 3 * 5 + 3),
        # Patches, one merger, the classifier; each of 4 blocks has projections in and out and a network of two layers.
        (swin, 3 + 4 * 4),
    ],
)
def test_shuffled_channels_and_shifted_windows(build: Callable[[], nn.Module], n_layers: int) -> None:
    torch.manual_seed(0)
    model = build().eval()
    network = trace(model, torch.zeros(2, 3, 32, 32))
    assert len(network.layers) == n_layers
    assert network.left_alone == ()
    inputs = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.module(inputs), model(inputs), rtol=1e-5, atol=1e-5)
