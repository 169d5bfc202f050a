from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, finish, prepare, set_linearity, trace
from parefront.spaces.fold import Fold, LinearisedActivation


class Block(nn.Module):
    """conv → BN → activation → conv → BN (+ shortcut), then an activation and a layer that read it."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.first_norm, self.second_norm = nn.BatchNorm2d(first.out_channels), nn.BatchNorm2d(second.out_channels)
        self.activation = nn.ReLU()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = self.second_norm(self.second(self.activation(self.first_norm(self.first(x)))))
        return out if self.shortcut is None else out + self.shortcut(x)


def projection(inner: int, outer: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))


def conv(inner: int, outer: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, padding)


# Each with the kernel, stride and padding of the merged layer by METHODS section 6:
# K = k1 + s1 (k2 - 1), stride s1 s2, padding p1 + s1 p2.
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "3x3 and 3x3": (lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 3, 1, 1)), (5, 1, 2)),
    "3x3 of stride 2 and 1x1": (lambda: Block(conv(4, 6, 3, 2, 1), conv(6, 5, 1)), (3, 2, 1)),
    "3x3 and 3x3 of stride 2": (lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 3, 2, 1)), (5, 2, 2)),
    "3x3 and 1x1": (lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 1)), (3, 1, 1)),
    "1x1 and 3x3": (lambda: Block(conv(4, 6, 1), conv(6, 5, 3, 1, 1)), (3, 1, 1)),
    "1x1 of stride 2 and 3x3": (lambda: Block(conv(4, 6, 1, 2), conv(6, 5, 3, 1, 1)), (5, 2, 2)),
    "1x1 and 1x1": (lambda: Block(conv(4, 6, 1), conv(6, 5, 1)), (1, 1, 0)),
    "identity shortcut": (lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 4, 3, 1, 1), nn.Identity()), (5, 1, 2)),
    "projection shortcut": (lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 3, 2, 1), projection(4, 5, 2)), (5, 2, 2)),
    "bare projection shortcut": (lambda: Block(conv(4, 6, 3, 2, 1), conv(6, 5, 1), conv(4, 5, 1, 2)), (3, 2, 1)),
}
FOLDED = Configuration.of({"fold/first": "on"})


@pytest.fixture
def inputs() -> Tensor:
    """(2, 4, 9, 9): an odd size, where strides leave a remainder."""
    return torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))


def build(case: str, randomise: Callable[..., nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return randomise(CASES[case][0]())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("case", CASES)
def test_a_linear_pair_with_moved_padding_merges_exactly(
    case: str, dtype: torch.dtype, tolerance: float, inputs: Tensor, randomise: Callable[..., nn.Module]
) -> None:
    inputs = inputs.to(dtype)
    prepared = prepare(trace(build(case, randomise).to(dtype), inputs), FOLDED)
    set_linearity(prepared, 1.0)
    merged = finish(prepared, FOLDED, inputs).module
    with torch.no_grad():
        expected, values = prepared(inputs), merged(inputs)
    assert values.shape == expected.shape
    assert (values - expected).abs().max() <= tolerance * expected.abs().max()
    layers = [module for module in merged.modules() if isinstance(module, nn.Conv2d)]
    kernel, stride, padding = CASES[case][1]
    assert [(each.kernel_size, each.stride, each.padding) for each in layers] == [
        ((kernel, kernel), (stride, stride), (padding, padding))
    ]
    # Nothing but the one layer is left: the addition is absorbed too.
    assert [node.op for node in merged.graph.nodes] == ["placeholder", "call_module", "output"]


@pytest.mark.parametrize("case", ["3x3 and 3x3", "3x3 and 3x3 of stride 2", "1x1 and 3x3"])
def test_prepare_moves_the_padding_and_keeps_the_activation(
    case: str, inputs: Tensor, randomise: Callable[..., nn.Module]
) -> None:
    model = build(case, randomise)
    assert isinstance(model, Block)
    prepared = prepare(trace(model, inputs), FOLDED)
    padding = CASES[case][1][2]
    with torch.no_grad():
        middle = functional.conv2d(inputs, model.first.weight, model.first.bias, model.first.stride, padding)
        middle = functional.relu(model.first_norm(middle))
        outer = functional.conv2d(middle, model.second.weight, model.second.bias, model.second.stride)
        torch.testing.assert_close(prepared(inputs), model.second_norm(outer))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_linear_layers_merge_exactly(dtype: torch.dtype, randomise: Callable[..., nn.Module]) -> None:
    layers = [nn.Linear(7, 9), nn.BatchNorm1d(9), nn.GELU(), nn.Linear(9, 5), nn.BatchNorm1d(5)]
    model = randomise(nn.Sequential(*layers)).to(dtype)
    inputs = torch.randn(3, 7, dtype=dtype, generator=torch.Generator().manual_seed(0))
    configuration = Configuration.of({"fold/0": "on"})
    prepared = prepare(trace(model, inputs), configuration)
    set_linearity(prepared, 1.0)
    merged = finish(prepared, configuration, inputs).module
    with torch.no_grad():
        expected, values = prepared(inputs), merged(inputs)
    assert (values - expected).abs().max() <= (1e-5 if dtype == torch.float32 else 1e-12) * expected.abs().max()
    assert [type(module) for module in merged.children()] == [nn.Linear]


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [0.0, 3.0]), (0.25, [-0.5, 3.0]), (1.0, [-2.0, 3.0])])
@pytest.mark.parametrize("inplace", [False, True])
def test_an_activation_turns_linear(alpha: float, expected: list[float], inplace: bool) -> None:
    relu = nn.ReLU(inplace=inplace)
    activation = LinearisedActivation(relu)
    set_linearity(activation, alpha)
    x = torch.tensor([-2.0, 3.0])
    assert activation(x).tolist() == expected
    assert x.tolist() == [-2.0, 3.0]
    assert relu.inplace is inplace


def test_a_weighted_sum_is_not_taken_for_a_shortcut(randomise: Callable[..., nn.Module], inputs: Tensor) -> None:
    class Weighted(Block):
        def forward(self, x: Tensor) -> Tensor:
            out = self.second_norm(self.second(self.activation(self.first_norm(self.first(x)))))
            return torch.add(out, x, alpha=2)

    model = randomise(Weighted(conv(4, 6, 3, 1, 1), conv(6, 4, 3, 1, 1)))
    prepared = prepare(trace(model, inputs), FOLDED)
    set_linearity(prepared, 1.0)
    merged = finish(prepared, FOLDED, inputs).module
    with torch.no_grad():
        torch.testing.assert_close(merged(inputs), prepared(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shortcut", [nn.Identity(), nn.Conv2d(1, 1, 1)], ids=["identity", "projection"])
def test_a_shortcut_that_is_spread_over_the_channels_stays(
    shortcut: nn.Module, randomise: Callable[..., nn.Module]
) -> None:
    inputs = torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    model = randomise(Block(conv(1, 6, 3, 1, 1), conv(6, 5, 3, 1, 1), shortcut))
    prepared = prepare(trace(model, inputs), FOLDED)
    set_linearity(prepared, 1.0)
    merged = finish(prepared, FOLDED, inputs).module
    with torch.no_grad():
        torch.testing.assert_close(merged(inputs), prepared(inputs), rtol=1e-4, atol=1e-4)


def test_an_absorbed_projection_is_one_of_the_sites_layers(inputs: Tensor, randomise: Callable[..., nn.Module]) -> None:
    def layers(case: str) -> tuple[str, ...]:
        return Fold().find_sites(trace(build(case, randomise), inputs), Capabilities()).sites[0].layers

    assert layers("projection shortcut") == ("first", "second", "shortcut.0")
    assert layers("identity shortcut") == ("first", "second")
    assert layers("3x3 and 3x3") == ("first", "second")
