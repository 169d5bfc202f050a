"""A finished network comes back from its weights, whatever weights the network it is built from has."""

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import ExportError
from parefront.spaces import CompressionOptions, Configuration, Network, finish, observe, prepare, simulate, trace
from parefront.spaces.rebuild import rebuild_finished, sizes_of
from parefront.tasks import Task

INPUTS = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def other_weights(task: Task) -> nn.Module:
    network = task.build_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    return network


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"prune/stem": 8, "bits/stem": 8, "bits/hidden": 8, "prune/hidden": 16},
        {"fold/block.conv1": "on", "rank/hidden": "asvd:4", "bits/hidden": 8},
        {"rank/hidden": "svd:8", "prune/stem": 8, "bits/classifier": "w8"},
        {"operator/block.conv1": "fire:8", "operator/block.conv2": "separable", "prune/stem": 8, "bits/block.conv1": 8},
    ],
)
def test_it_computes_the_same_to_the_last_bit(tiny_task: Task, tiny_network: Network, choices: dict[str, str]) -> None:
    configuration = Configuration.of(choices)
    options = CompressionOptions(has_bias_correction=True, has_operators=True)
    observed = observe(tiny_network, INPUTS, options)
    finished = finish(prepare(observed, configuration), configuration, INPUTS, options)
    state, sizes = finished.module.state_dict(), sizes_of(finished.module)
    again = rebuild_finished(other_weights(tiny_task), INPUTS, configuration, state, sizes)
    assert torch.equal(again(INPUTS), finished.module(INPUTS))
    assert torch.equal(simulate(again, finished.plan)(INPUTS), simulate(finished.module, finished.plan)(INPUTS))


class Gated(nn.Module):
    """Two halves of one layer's channels, one gating the other: which channels go decides how the halves are cut."""

    def __init__(self, strong: slice) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        with torch.no_grad():
            self.conv.weight[strong] *= 100

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.chunk(self.conv(x), 2, dim=1)
        return torch.relu(self.left(left)) + torch.relu(self.right(right))


def test_a_split_is_cut_where_it_was() -> None:
    configuration = Configuration.of({"prune/conv": 8})
    # Of 16 channels the 8 strong ones stay: 2 on the left and 6 on the right, in the other network 7 and 1.
    was, other = Gated(slice(6, 14)), Gated(slice(1, 9))
    finished = finish(prepare(trace(was, INPUTS), configuration), configuration, INPUTS)
    sizes = sizes_of(finished.module)
    assert [held["sizes"] for held in sizes.values() if "sizes" in held] == [[2, 6]]
    assert [sizes[name]["in_channels"] for name in ("left", "right")] == [2, 6]
    again = rebuild_finished(other, INPUTS, configuration, finished.module.state_dict(), sizes)
    assert torch.equal(again(INPUTS), finished.module(INPUTS))


def test_another_network_is_refused(tiny_task: Task) -> None:
    state = finish(
        prepare(trace(Gated(slice(0, 8)), INPUTS), Configuration()), Configuration(), INPUTS
    ).module.state_dict()
    message = (
        "the weights must be those of the task's network in that configuration, but: .*[Mm]issing key.*stem.weight"
    )
    with pytest.raises(ExportError, match=message) as refused:
        rebuild_finished(tiny_task.build_network(), INPUTS, Configuration(), state, {})
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("; give the task that the search had")
