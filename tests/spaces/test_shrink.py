import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from parefront.spaces.attention import HeadAttention
from parefront.spaces.channel_map import Holder
from parefront.spaces.modularise import Split
from parefront.spaces.shrink import shrink


def numbered(unit: nn.Module) -> nn.Module:
    """The module with parameters and statistics that are all different numbers."""
    with torch.no_grad():
        for value in (*unit.parameters(), *unit.buffers()):
            if value.is_floating_point():
                value.copy_(torch.arange(float(value.numel())).reshape(value.shape))
    return unit


def shrunk(unit: nn.Module, role: str, n_entries: int, keep: list[int]) -> nn.Module:
    """The module, in a network, with only those of its entries."""
    module = fx.symbolic_trace(nn.Identity())
    module.add_module("0", numbered(unit))
    shrink(module, Holder("0", role, np.arange(n_entries)), torch.tensor(keep))
    return module.get_submodule("0")


def like(unit: nn.Module) -> Tensor:
    """The weight that `numbered` gave a module."""
    return torch.arange(float(unit.weight.numel())).reshape(unit.weight.shape)


@pytest.mark.parametrize(
    ("build", "axis_out", "axis_in"),
    [
        (lambda i, o: nn.Conv2d(i, o, 3), 0, 1),
        (lambda i, o: nn.Conv1d(i, o, 2), 0, 1),
        (lambda i, o: nn.ConvTranspose3d(i, o, 2), 1, 0),
        (lambda i, o: nn.Linear(i, o), 0, 1),
    ],
)
def test_layers_lose_outputs_with_their_bias_and_inputs_without(build, axis_out: int, axis_in: int) -> None:  # type: ignore[no-untyped-def]
    keep = [0, 3]
    fewer = shrunk(build(5, 4), "out", 4, keep)
    assert torch.equal(fewer.weight, like(build(5, 4)).index_select(axis_out, torch.tensor(keep)))
    assert fewer.bias.tolist() == [0, 3]
    assert getattr(fewer, "out_channels", getattr(fewer, "out_features", None)) == 2
    fewer = shrunk(build(5, 4), "in", 5, keep)
    assert torch.equal(fewer.weight, like(build(5, 4)).index_select(axis_in, torch.tensor(keep)))
    assert fewer.bias.tolist() == [0, 1, 2, 3]
    assert getattr(fewer, "in_channels", getattr(fewer, "in_features", None)) == 2


def test_groups_lose_the_same_inputs() -> None:
    fewer = shrunk(nn.Conv1d(6, 4, 1, groups=2), "in", 6, [0, 2, 3, 5])  # places 0 and 2 of both groups
    assert fewer.weight.squeeze(2).tolist() == [[0, 2], [3, 5], [6, 8], [9, 11]]
    assert (fewer.in_channels, fewer.groups) == (4, 2)
    fewer = shrunk(nn.ConvTranspose1d(4, 6, 1, groups=2), "out", 6, [1, 2, 4, 5])  # places 1 and 2
    assert fewer.weight.squeeze(2).tolist() == [[1, 2], [4, 5], [7, 8], [10, 11]]
    assert fewer.bias.tolist() == [1, 2, 4, 5]


def test_depthwise_convolutions_lose_groups_with_all_their_outputs() -> None:
    fewer = shrunk(nn.Conv2d(3, 6, 1, groups=3), "depthwise", 3, [0, 2])
    assert fewer.weight.flatten().tolist() == [0, 1, 4, 5]
    assert fewer.bias.tolist() == [0, 1, 4, 5]
    assert (fewer.in_channels, fewer.out_channels, fewer.groups) == (2, 4, 2)
    assert fewer(torch.zeros(1, 2, 3, 3)).shape == (1, 4, 3, 3)


@pytest.mark.parametrize(
    ("norm", "attribute", "expected"),
    [
        (nn.BatchNorm2d(4), "num_features", 2),
        (nn.InstanceNorm1d(4, affine=True, track_running_stats=True), "num_features", 2),
        (nn.GroupNorm(2, 4), "num_channels", 2),
        (nn.LayerNorm(4), "normalized_shape", (2,)),
        (nn.PReLU(4), "num_parameters", 2),
    ],
)
def test_norms_lose_parameters_and_statistics(norm: nn.Module, attribute: str, expected: object) -> None:
    fewer = shrunk(norm, "norm", 4, [1, 3])
    values = {name: value for name, value in fewer.state_dict().items() if value.dim()}
    assert all(value.tolist() == [1, 3] for value in values.values())
    assert "weight" in values
    assert getattr(fewer, attribute) == expected


def test_norms_without_parameters_lose_their_size() -> None:
    fewer = shrunk(nn.BatchNorm1d(4, affine=False, track_running_stats=False), "norm", 4, [1, 3])
    assert fewer.num_features == 2
    assert fewer.state_dict() == {}


def test_parts_lose_what_is_theirs() -> None:
    assert shrunk(Split([2, 1, 3], 1), "split", 6, [1, 3, 5]).sizes == [1, 0, 2]


def test_heads_go_as_a_whole() -> None:
    fewer = shrunk(HeadAttention(3, 2), "heads", 6, [0, 1, 4, 5])
    assert (fewer.n_heads, fewer.head_width) == (2, 2)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Module()
        self.inner.scale = nn.Parameter(torch.arange(4.0).reshape(1, 4, 1))
        self.register_buffer("shift", torch.arange(4.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.inner.scale + self.shift


def test_parameters_and_buffers_lose_entries_of_one_axis() -> None:
    module = fx.symbolic_trace(Scaled())
    shrink(module, Holder("inner.scale", "parameter", np.arange(4), 1), torch.tensor([0, 2]))
    shrink(module, Holder("shift", "parameter", np.arange(4), 0), torch.tensor([1, 2]))
    assert module.inner.scale.flatten().tolist() == [0, 2]
    assert module.inner.scale.shape == (1, 2, 1)
    assert isinstance(module.inner.scale, nn.Parameter)
    assert module.shift.tolist() == [1, 2]


def test_frozen_parameters_stay_frozen() -> None:
    layer = nn.Linear(3, 4).requires_grad_(False)
    layer.bias.requires_grad_(True)
    fewer = shrunk(layer, "out", 4, [0])
    assert (fewer.weight.requires_grad, fewer.bias.requires_grad) == (False, True)


def test_the_tensors_of_others_are_not_touched() -> None:
    layer = numbered(nn.Linear(3, 4))
    weight = layer.weight
    shrunk(layer, "out", 4, [2])
    assert weight.shape == (4, 3)
