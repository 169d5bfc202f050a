import copy
import logging

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import trace
from parefront.spaces.graph import (
    free_name,
    is_addition,
    is_layer,
    module_of,
    n_calls,
    only_user,
    propagate_shapes,
    replace_module,
    run_without_data,
    shape_of,
)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.act = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Tanh()
        self.shift = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.act(self.conv(x))
        return self.act(self.pool(x) + self.shift), torch.add(x, x, alpha=2)


@pytest.fixture
def graph() -> fx.GraphModule:
    return fx.symbolic_trace(Model())


def nodes(module: fx.GraphModule) -> dict[str, fx.Node]:
    return {node.name: node for node in module.graph.nodes}


def test_shapes_are_known_without_running(graph: fx.GraphModule) -> None:
    propagate_shapes(graph, (torch.zeros(2, 3, 8, 8),))
    found = nodes(graph)
    assert shape_of(found["conv"]) == (2, 4, 6, 6)
    assert shape_of(found["pool"]) == (2, 4, 3, 3)
    assert [shape_of(node)[0] for node in graph.graph.nodes if node.op == "call_module"] == [2] * 4


def test_an_input_that_does_not_fit_is_refused_with_the_module(graph: fx.GraphModule) -> None:
    with pytest.raises(SpaceError, match=r"must run on an input of shape \(2, 5, 8, 8\), but 'conv' failed: "):
        propagate_shapes(graph, (torch.zeros(2, 5, 8, 8),))


def test_what_looks_at_data_is_run_on_zeros(graph: fx.GraphModule) -> None:
    node = graph.graph.call_function(lambda x: torch.full((int(x.sum()) + 3,), 1.0), (nodes(graph)["x"],))
    module = trace(nn.Identity(), torch.zeros(1)).follower
    value = run_without_data(graph, node, (torch.ones(2),), {}, module.mode)
    assert value.shape == (3,)


def test_what_fails_without_data_prints_nothing(
    graph: fx.GraphModule, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    mode = trace(nn.Identity(), torch.zeros(1)).follower.mode
    node = graph.graph.call_function(torch.mul, ())
    with pytest.raises(RuntimeError, match="must match the size"):
        run_without_data(graph, node, (torch.zeros(2), torch.zeros(3)), {}, mode)
    assert capsys.readouterr().err == ""
    assert caplog.text == ""
    assert not logging.getLogger("torch._subclasses.fake_tensor").disabled


def test_modules_are_found_by_node_and_replaced_by_name(graph: fx.GraphModule) -> None:
    found = nodes(graph)
    assert module_of(graph, found["conv"]) is graph.conv
    assert module_of(graph, found["add"]) is None
    assert module_of(graph, "conv") is None
    assert (n_calls(graph, found["act"]), n_calls(graph, found["conv"])) == (2, 1)
    new = nn.Conv2d(3, 4, 3)
    replace_module(graph, "conv", new)
    assert graph.conv is new
    nested = nn.Sequential(nn.Sequential(nn.ReLU()))
    replace_module(nested, "0.0", new)
    assert nested[0][0] is new


def test_a_free_name_is_taken_by_nothing(graph: fx.GraphModule) -> None:
    graph.add_module("shift_1", nn.ReLU())
    assert free_name(graph, "conv") == "conv_1"
    assert free_name(graph, "shift") == "shift_2"


def test_only_plain_sums_are_additions(graph: fx.GraphModule) -> None:
    assert [name for name, node in nodes(graph).items() if is_addition(node)] == ["add"]
    assert not is_addition(None)
    with_number = fx.symbolic_trace(lambda x: x + 1)
    assert not any(is_addition(node) for node in with_number.graph.nodes)


def test_the_only_user(graph: fx.GraphModule) -> None:
    found = nodes(graph)
    assert only_user(found["conv"]) is found["act"]
    assert only_user(found["act"]) is None  # the pooling and the sum


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv1d(2, 2, 1), True),
        (nn.Conv3d(2, 2, 1), True),
        (nn.ConvTranspose2d(2, 2, 1), True),
        (nn.Linear(2, 2), True),
        (nn.BatchNorm2d(2), False),
        (nn.Bilinear(2, 2, 2), False),
        (None, False),
    ],
)
def test_layers_are_convolutions_and_linear_ones(module: nn.Module | None, expected: bool) -> None:
    assert is_layer(copy.copy(module)) is expected


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 5), (2, 4, 3)),
        (nn.Linear(3, 5), (3,)),
        (nn.LayerNorm((4, 3)), (2, 4, 3)),
        (nn.Conv1d(4, 6, 3, stride=2, padding=1), (2, 4, 9)),
        (nn.Conv2d(4, 6, (3, 5), stride=(2, 1), dilation=(1, 2), groups=2), (2, 4, 9, 11)),
        (nn.Conv2d(4, 6, 3, padding="same"), (2, 4, 7, 7)),
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (2, 4, 7, 7)),
        (nn.Conv3d(2, 4, 2), (1, 2, 3, 3, 3)),
        (nn.Conv2d(4, 6, 1).to(memory_format=torch.channels_last), (2, 4, 5, 5)),  # type: ignore[call-overload]
    ],
)
def test_what_layers_give_is_known_from_their_sizes(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape)
    module = fx.symbolic_trace(nn.Sequential(layer))
    propagate_shapes(module, (x,))
    metadata = next(node for node in module.graph.nodes if node.op == "call_module").meta["tensor_meta"]
    expected = layer(x)
    assert (metadata.shape, metadata.stride, metadata.dtype) == (expected.shape, expected.stride(), expected.dtype)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 5), (2, 4)),
        (nn.LayerNorm(3), (2, 4)),
        (nn.Conv2d(4, 6, 3), (2, 4, 2, 2)),
        (nn.Conv2d(4, 6, 1), (2, 5, 2, 2)),
    ],
)
def test_an_input_that_a_layer_refuses_is_refused(layer: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(SpaceError, match="but '0' failed: "):
        propagate_shapes(fx.symbolic_trace(nn.Sequential(layer)), (torch.zeros(shape),))
