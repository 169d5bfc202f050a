"""Any set of activations goes, and what is left computes what the linear network did."""

import copy
import sys
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from parefront.spaces import Network, trace
from parefront.spaces.fold import Fold
from parefront.spaces.fold_activations import depth, find_foldable_activations, fold_activations

UNBOUNDED = Fold(max_kernel=sys.maxsize, max_growth=1e9)


class Chain(nn.Module):
    """Three 3x3 convolutions without padding and a linear layer behind a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.GELU(), nn.ReLU()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.fc(self.relu3(self.conv3(x)).mean((2, 3)))


class Blocks(nn.Module):
    """A stem and two residual blocks of 3x3, BN, ReLU, 3x3, BN; an activation behind each addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_relu = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()
        self.first, self.second = Block(), Block()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.second(self.first(self.stem_relu(self.stem(x)))).mean((2, 3)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1, self.relu1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()
        self.conv2, self.norm2, self.relu2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x))))) + x)


def traced(build: Callable[[], nn.Module], size: int = 12) -> Network:
    torch.manual_seed(0)
    model = build().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    return trace(model, torch.randn(2, 2, size, size, dtype=torch.float64))


def made_linear(network: Network, names: Iterable[str]) -> nn.Module:
    """The network with these activations replaced by the identity, nothing merged."""
    module = copy.deepcopy(network.module)
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, nn.Identity())
    return module


@pytest.mark.parametrize(
    ("linear", "expected_depth"),
    [((), 4), (("relu1",), 3), (("relu2",), 3), (("relu1", "relu2"), 2)],
    ids=["none", "first", "second", "both"],
)
def test_a_chain_without_padding_merges_exactly(linear: tuple[str, ...], expected_depth: int) -> None:
    network = traced(Chain)
    folded = fold_activations(network, set(linear), UNBOUNDED)
    x = network.example_inputs[0]
    assert depth(folded) == expected_depth
    assert torch.allclose(folded(x), made_linear(network, linear)(x), atol=1e-12)


def test_an_activation_in_front_of_a_pooling_stays() -> None:
    foldable = find_foldable_activations(traced(Chain), UNBOUNDED)
    assert foldable.names == ("relu1", "relu2")
    assert [each.name for each in foldable.left_alone] == ["relu3"]
    assert "does not stand between two convolutions" in foldable.left_alone[0].reason
    assert foldable.n_all == 3


def test_behind_an_addition_it_can_go_where_the_blocks_beside_it_go() -> None:
    foldable = find_foldable_activations(traced(Blocks), UNBOUNDED)
    assert foldable.names == ("stem_relu", "first.relu1", "first.relu2", "second.relu1")
    assert [each.name for each in foldable.left_alone] == ["second.relu2"]


@pytest.mark.parametrize(
    ("linear", "expected_depth"),
    [
        ((), 6),
        (("first.relu1",), 5),
        (("first.relu2",), 6),  # both layers that read it stay
        (("stem_relu", "first.relu1"), 4),
        (("first.relu1", "first.relu2", "second.relu1"), 3),
        (("stem_relu", "first.relu1", "first.relu2", "second.relu1"), 2),
    ],
)
def test_blocks_merge_with_their_shortcuts(linear: tuple[str, ...], expected_depth: int) -> None:
    # Away from the borders the merge is exact: a mean over the middle pixels of a large image sees no padding.
    network = traced(Blocks, size=32)
    folded = fold_activations(network, set(linear), UNBOUNDED)
    assert depth(folded) == expected_depth
    plain = made_linear(network, linear)
    last = "second.relu2"
    middles = [_output_of(each, last, network.example_inputs[0])[..., 12:20, 12:20] for each in (folded, plain)]
    assert torch.allclose(middles[0], middles[1], atol=1e-10)


def _output_of(module: nn.Module, name: str, x: Tensor) -> Tensor:
    found: list[Tensor] = []
    handle = module.get_submodule(name).register_forward_hook(lambda _, __, output: found.append(output))
    module(x)
    handle.remove()
    return found[0]


def test_the_limits_hold() -> None:
    # Kernels of 5 at most: a block merges, a block and the stem (7) do not.
    foldable = find_foldable_activations(traced(Blocks), Fold(max_kernel=5, max_growth=1e9))
    assert foldable.names == ("first.relu1", "second.relu1")
    reasons = {each.name: each.reason for each in foldable.left_alone}
    assert reasons["first.relu2"] != ""


def test_the_network_itself_is_not_touched() -> None:
    network = traced(Chain)
    before = network.module.code
    fold_activations(network, {"relu1"}, UNBOUNDED)
    find_foldable_activations(network, UNBOUNDED)
    assert network.module.code == before


def test_depth_is_the_longest_way() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x)) + self.c(x)

    assert depth(trace(Forked(), torch.zeros(1, 2)).module) == 2
