import torch
from torch import nn

from parefront.spaces import trace
from parefront.spaces.observe import BATCH, observe_ranges


def test_ranges_hold_what_any_batch_of_any_input_gives() -> None:
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    x, y = torch.zeros(2 * BATCH + 1, 1), torch.ones(2 * BATCH + 1, 1)
    x[0], x[-1] = -3.0, 11.0
    module = trace(Sum(), (x[:2], y[:2])).module
    nodes = {node.name: node for node in module.graph.nodes}
    found = observe_ranges(module, [nodes["add"], nodes["x"]], (x, y), "minmax")
    # Sums from -2 to 12: zero is integer round(255 * 2 / 14).
    assert found[nodes["add"]].scale == (14 / 255,)
    assert found[nodes["add"]].zero_point == (36,)
    assert found[nodes["x"]].scale == (14 / 255,)
    assert set(found) == {nodes["add"], nodes["x"]}


def test_nothing_is_run_for_nothing() -> None:
    module = trace(nn.Sequential(nn.Linear(2, 2)), torch.zeros(1, 2)).module
    assert observe_ranges(module, [], (torch.zeros(1, 3),), "mse") == {}  # an input that the network could not take
