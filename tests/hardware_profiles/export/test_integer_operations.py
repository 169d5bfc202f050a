import operator
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from parefront.hardware_profiles.export.integer_operations import (
    behind_activation,
    is_computing,
    is_moving,
    is_splitting,
)


def last(function: Callable[..., object]) -> tuple[fx.GraphModule, fx.Node]:
    module = fx.symbolic_trace(function)
    return module, next(node for node in reversed(module.graph.nodes) if node.op != "output")


@pytest.mark.parametrize(
    ("operation", "is_moved", "is_computed"),
    [
        (lambda x, y: x.view(2, -1), True, False),
        (lambda x, y: functional.max_pool2d(x, 2), True, False),
        (lambda x, y: functional.dropout(x, 0.5, False), True, False),
        (lambda x, y: x[:, 1], True, False),
        (lambda x, y: x + y, False, True),
        (lambda x, y: x + 1, False, False),
        (lambda x, y: torch.add(x, y, alpha=2), False, False),
        (lambda x, y: x * y, False, True),
        (lambda x, y: x * 2, False, False),
        (lambda x, y: torch.cat([x, y]), False, True),
        (lambda x, y: functional.avg_pool2d(x, 2), False, True),
        (lambda x, y: torch.sigmoid(x), False, True),
        (lambda x, y: torch.softmax(x, 0), False, False),
    ],
)
def test_operations(operation: Callable[[Tensor, Tensor], Tensor], is_moved: bool, is_computed: bool) -> None:
    module, node = last(lambda x, y: operation(x, y))
    assert (is_moving(module, node), is_computing(module, node)) == (is_moved, is_computed)


def test_parts_are_picked_from_what_splits() -> None:
    module, node = last(lambda x: x.chunk(2, 1)[0])
    assert node.target is operator.getitem
    assert is_splitting(module, node.all_input_nodes[0])
    assert not is_splitting(module, node)


@pytest.mark.parametrize(("activation", "is_behind"), [(nn.ReLU(), True), (nn.ReLU6(), True), (nn.GELU(), False)])
def test_only_activations_that_runtimes_fuse_belong_to_a_layer(activation: nn.Module, is_behind: bool) -> None:
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), activation))
    layer = next(node for node in module.graph.nodes if node.target == "0")
    assert (behind_activation(module, layer) is not layer) is is_behind
