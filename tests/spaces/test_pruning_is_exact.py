"""The proof of pruning: a pruned network computes what the network does whose layers ignore the removed channels.

That holds for every coupling of channels but normalisation over them, which is checked where the labels are.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from parefront.spaces import Network, trace
from parefront.spaces.channel_removal import prune_channels, unprunable
from parefront.spaces.graph import TransposedConvolution


class Residual(nn.Module):
    """Two convolutions whose sum is read, the second behind a branch, and written in place as in torchvision."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.branch, self.relu = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.stem(x)))
        out = self.branch(x)
        out += x
        return self.last(self.relu(out))


class Concatenated(nn.Module):
    """DenseNet: BatchNorm over maps side by side, which are then flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 4, 3)
        self.bn, self.c = nn.BatchNorm2d(12), nn.Conv2d(12, 6, 1)
        self.fc = nn.Linear(18 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.a(x), self.b(x)], 1)
        dense = torch.cat((both, self.c(torch.relu(self.bn(both)))), dim=1)
        return self.fc(functional.adaptive_avg_pool2d(dense, 2).view(-1, 18 * 4))


class ConcatenatedThenAdded(nn.Module):
    """Two groups side by side are added to a third layer, half to each."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(3, 10, 1)
        self.last = nn.Conv2d(10, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(torch.cat([self.a(x), self.b(x)], -3) + self.c(x)))


class Sliced(nn.Module):
    """Channels that are taken apart by slices, chunks and a split, and read by different layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 12, 1)
        self.b, self.c, self.d = nn.Conv2d(4, 6, 1), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 1)
        self.e = nn.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x))
        first, second = x.split([4, 8], dim=1)
        left, right = torch.chunk(self.b(first) + self.c(second), 2, 1)
        third = self.d(torch.cat([right, left], 1))
        half = third.shape[1] // 2
        return self.e(third[:, :half] * third[:, half:])


class ShuffleUnit(nn.Module):
    """ShuffleNetV2: half of the channels pass, half are convolved, and both are interleaved."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.one, self.depthwise = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.two, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        passed, rest = self.stem(x).chunk(2, dim=1)
        x = torch.cat([passed, self.two(self.depthwise(torch.relu(self.one(rest))))], 1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.last(x)


class Depthwise(nn.Module):
    """A depthwise convolution with two outputs per input, over two groups side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 4, 1)
        self.depthwise, self.bn = nn.Conv2d(10, 20, 3, groups=10), nn.BatchNorm2d(20)
        self.last = nn.Conv2d(20, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.a(x), self.b(x)], 1)
        return self.last(functional.hardswish(self.bn(self.depthwise(x))))


class Grouped(nn.Module):
    """ResNeXt: every group of a convolution loses as many channels, before it and behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.grouped, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 3, groups=4), nn.Conv2d(12, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.grouped(torch.relu(self.a(x)))))


class SqueezeExcite(nn.Module):
    """Channels scaled by what a small network makes of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
        self.squeeze, self.excite = nn.Linear(8, 4), nn.Linear(4, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.a(x))
        n, c, _, _ = x.shape
        scale = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return self.last(x * scale.view(n, c, 1, 1))


class Dimensions(nn.Module):
    """Convolutions of one and three dimensions, transposed ones among them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.up = nn.Conv3d(2, 6, 3, padding=1), nn.ConvTranspose3d(6, 4, 2, stride=2)
        self.b, self.grown = nn.Conv1d(4, 6, 3), nn.ConvTranspose1d(6, 8, 3)
        self.last = nn.Conv1d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(torch.relu(self.a(x))).flatten(2)
        return self.last(functional.leaky_relu(self.grown(torch.relu(self.b(x)))))


class GroupedTransposed(nn.Module):
    """A transposed convolution that works in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.up, self.last = nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 12, 2, groups=2), nn.Conv2d(12, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.up(torch.relu(self.a(x)))))


class AttentionBlock(nn.Module):
    """Heads between a projection of the input and a layer that reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.attention = nn.Linear(5, 16), nn.MultiheadAttention(16, 4, batch_first=True)
        self.last = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return self.last(x + mixed)


class LayerScale(nn.Module):
    """ConvNeXt: a parameter per channel, and a mask over places."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 8)[:, None, None])
        self.shift = nn.Parameter(torch.linspace(-1, 1, 8).reshape(1, 8, 1, 1))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.a(x)
        return self.last((x + self.scale * functional.gelu(self.b(x) + self.shift)) * mask)


class CalledTwice(nn.Module):
    """One convolution used twice, so that its inputs are its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.twice, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.twice(torch.relu(self.twice(torch.relu(self.a(x)))))))


class SeveralOutputs(nn.Module):
    """A detector's shape: a pyramid by pooling, padding and upsampling; a dict and a tuple come out."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(8, 6, 1)
        self.pool, self.pad = nn.MaxPool2d(2), nn.ZeroPad2d(1)
        self.box, self.score = nn.Conv2d(6, 4, 3), nn.Conv2d(6, 2, 1)
        self.norm = nn.PReLU(6)

    def forward(self, x: Tensor) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
        x = torch.relu(self.a(x))
        low = self.b(self.pool(x))
        y = self.norm(functional.interpolate(low, size=x.shape[2:]) + self.c(x))
        score = self.score(functional.pad(y, (1, 2, 0, 1)))
        return {"box": self.box(self.pad(y)), "scores": (score, torch.softmax(score, 1))}


class SideBySide(nn.Module):
    """Parts of a group behind a stack, and elements that are picked and unbound again."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(6, 8)
        self.c, self.last = nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.stack([self.a(x), self.b(x)], dim=1)
        one, other = both.unbind(1)
        return self.last(torch.relu(self.c(one * torch.tanh(other) - both[:, 0])))


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 4, dim_feedforward=12, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)


@dataclass(frozen=True)
class Case:
    """A network, the shapes of its inputs, and its groups: producers, width and step."""

    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    groups: list[tuple[tuple[str, ...], int, int]]


IMAGE = ((2, 3, 8, 8),)
CASES = {
    "residual": Case(Residual, IMAGE, [(("stem", "branch"), 8, 1)]),
    "concatenated": Case(Concatenated, IMAGE, [(("a",), 8, 1), (("b",), 4, 1), (("c",), 6, 1)]),
    "concatenated-then-added": Case(ConcatenatedThenAdded, IMAGE, [(("a", "b", "c"), 10, 1)]),
    # The halves of b + c are interchanged, and d reads them all the same; e reads d's halves multiplied: pairs go.
    "sliced": Case(Sliced, IMAGE, [(("a",), 12, 1), (("b", "c"), 6, 1), (("d",), 4, 2)]),
    # Interleaving takes the passed half of the stem and what is convolved pair by pair.
    "shuffled": Case(ShuffleUnit, IMAGE, [(("stem", "two"), 8, 1), (("one",), 4, 1)]),
    "depthwise": Case(Depthwise, IMAGE, [(("a",), 6, 1), (("b",), 4, 1)]),
    "grouped": Case(Grouped, IMAGE, [(("a",), 8, 4), (("grouped",), 12, 4)]),
    "squeeze-excite": Case(SqueezeExcite, IMAGE, [(("a", "excite"), 8, 1), (("squeeze",), 4, 1)]),
    "dimensions": Case(
        Dimensions, ((2, 2, 4, 4, 4),), [(("a",), 6, 1), (("up",), 4, 1), (("b",), 6, 1), (("grown",), 8, 1)]
    ),
    "grouped-transposed": Case(GroupedTransposed, IMAGE, [(("a",), 8, 2), (("up",), 12, 2)]),
    "attention": Case(
        AttentionBlock,
        ((2, 7, 5),),
        [
            (("embed", "attention.out_proj"), 16, 1),
            (("attention.query", "attention.key", "attention.value"), 16, 4),
        ],
    ),
    "transformer": Case(
        transformer,
        ((2, 7, 8),),
        [
            (tuple(f"layers.0.self_attn.{each}" for each in ("query", "key", "value")), 8, 2),
            (("layers.0.linear1",), 12, 1),
        ],
    ),
    "layer-scale": Case(LayerScale, (*IMAGE, (2, 1, 8, 8)), [(("a", "b"), 8, 1)]),
    "called-twice": Case(CalledTwice, IMAGE, [(("a", "twice"), 8, 1)]),
    "several-outputs": Case(SeveralOutputs, IMAGE, [(("a",), 8, 1), (("b", "c"), 6, 1)]),
    "side-by-side": Case(SideBySide, ((2, 6),), [(("a", "b"), 8, 1), (("c",), 6, 1)]),
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def inputs(case: Case) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(shape, generator=generator) for shape in case.shapes)


@pytest.fixture(scope="module")
def traced(case: Case, inputs: tuple[Tensor, ...], randomise: Callable[..., nn.Module]) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return trace(randomise(case.build()), inputs)


def without_what_is_removed(network: Network, removed: np.ndarray) -> fx.GraphModule:
    """The network at full width in which no layer looks at the removed channels."""
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        for holder in network.follower.map.holders:
            if holder.role == "in":
                ignore(module.get_submodule(holder.name), np.flatnonzero(np.isin(holder.numbers, removed)))
    return module


def ignore(layer: nn.Module, inputs: np.ndarray) -> None:
    """Sets a layer's weights for those inputs to zero."""
    for each in inputs.tolist():
        if isinstance(layer, TransposedConvolution):
            layer.weight[each] = 0
        elif isinstance(layer, nn.Linear):
            layer.weight[:, each] = 0
        else:
            group, place = divmod(each, layer.weight.shape[1])
            layer.weight.unflatten(0, (layer.groups, -1))[group, :, place] = 0


def assert_pruning_is_ignoring(network: Network, widths: dict[str, int], inputs: tuple[Tensor, ...]) -> None:
    channels = network.follower.map
    pruned = copy.deepcopy(network.module)
    prune_channels(pruned, channels, widths)
    ignoring = without_what_is_removed(network, removed_numbers(network, widths))
    with torch.no_grad():
        found, expected, before = (tree_leaves(module(*inputs)) for module in (pruned, ignoring, network.module))
    assert [each.shape for each in found] == [each.shape for each in before]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(found, before, strict=True))


def removed_numbers(network: Network, widths: dict[str, int]) -> np.ndarray:
    """The numbers of the channels that pruning to those widths removes, from every layer of the groups."""
    groups = [group for group in network.channels.groups if group.name in widths]
    everywhere = {name: widths[group.name] for group in groups for name in group.producers}
    gone = prune_channels(copy.deepcopy(network.module), network.follower.map, everywhere)
    return np.concatenate([network.follower.map.made[name][indices] for name, indices in gone.items()])


def halves(network: Network) -> dict[str, int]:
    return {group.name: max(1, group.n_classes // 2) * group.step for group in network.channels.groups}


def test_the_groups_are_those_expected(case: Case, traced: Network) -> None:
    found = traced.channels.groups
    assert [(group.producers, group.width, group.step) for group in found] == case.groups


def test_each_group_alone(traced: Network, inputs: tuple[Tensor, ...]) -> None:
    for name, width in halves(traced).items():
        assert_pruning_is_ignoring(traced, {name: width}, inputs)


def test_all_groups_at_once(traced: Network, inputs: tuple[Tensor, ...]) -> None:
    assert_pruning_is_ignoring(traced, halves(traced), inputs)


def test_the_second_walk_agrees(traced: Network) -> None:
    assert unprunable(traced, halves(traced)) == {}
