from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, Network, finish, prepare, set_linearity, trace
from parefront.spaces.fold import Fold, LinearisedActivation
from parefront.spaces.merge import merge_weights


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


def fold_sites(network: Network) -> list[str]:
    return [site.name for site in Fold().find_sites(network, Capabilities()).sites]


def reasons(network: Network) -> list[str]:
    return [item.reason for item in Fold().find_sites(network, Capabilities()).left_alone]


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


@pytest.mark.parametrize("height", [7, 8, 16, 32])
def test_zero_padding_between_two_3x3_is_wrong_at_the_border_only(height: int) -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=generator)
    second = torch.randn(2, 3, 3, 3, dtype=torch.float64, generator=generator)
    image = torch.randn(1, 2, height, height, dtype=torch.float64, generator=generator)
    merged = functional.conv2d(image, merge_weights(first, second, (1, 1)), padding=2)
    as_trained = functional.conv2d(functional.conv2d(image, first, padding=1), second, padding=1)
    moved = functional.conv2d(functional.conv2d(image, first, padding=2), second)

    def share_of_wrong_pixels(other: Tensor) -> float:
        return float(((merged - other).abs() > 1e-9).any(1).double().mean())

    # The ring of border pixels, 4H - 4 of H²: METHODS section 6 measured 49, 44, 23 and 12 % at H = 7, 8, 16 and 32.
    published = {7: 0.49, 8: 0.44, 16: 0.23, 32: 0.12}
    assert share_of_wrong_pixels(as_trained) == (4 * height - 4) / height**2
    assert share_of_wrong_pixels(as_trained) == pytest.approx(published[height], abs=0.005)
    assert share_of_wrong_pixels(moved) == 0


def test_merged_weights_by_hand() -> None:
    # In one dimension (1 x 2 kernels): out[i] = 5 mid[i] + 7 mid[i + 1] with mid[i] = 2 x[i] + 3 x[i + 1]
    # = 10 x[i] + (15 + 14) x[i + 1] + 21 x[i + 2].
    first, second = torch.tensor([[[[2.0, 3.0]]]]), torch.tensor([[[[5.0, 7.0]]]])
    assert merge_weights(first, second, (1, 1)).tolist() == [[[[10.0, 29.0, 21.0]]]]
    # With stride 2 the second tap starts two pixels later: 10, 15, 14, 21.
    assert merge_weights(first, second, (1, 2)).tolist() == [[[[10.0, 15.0, 14.0, 21.0]]]]
    # Two middle channels add up: 5 * 2 + 11 * 4 = 54.
    first, second = torch.tensor([[[[2.0]]], [[[4.0]]]]), torch.tensor([[[[5.0]], [[11.0]]]])
    assert merge_weights(first, second, (1, 1)).tolist() == [[[[54.0]]]]


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


# What is no fold site, and why: each beside the pair that is one.


def sequence(*layers: nn.Module) -> Network:
    channels = next(layer.in_channels for layer in layers if isinstance(layer, nn.Conv2d))
    return trace(nn.Sequential(*layers), torch.zeros(2, channels, 9, 9))


def test_a_plain_pair_is_a_site() -> None:
    network = sequence(conv(4, 6, 3), nn.ReLU(), conv(6, 5, 3))
    assert fold_sites(network) == ["fold/0"]
    assert reasons(network) == []


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=2)), "grouped or dilated"),
        ((nn.Conv2d(4, 6, 3, dilation=2), nn.ReLU(), nn.Conv2d(6, 5, 1)), "grouped or dilated"),
        ((nn.Conv2d(4, 6, 5), nn.ReLU(), nn.Conv2d(6, 5, 3)), "7 wide, more than 5"),
        ((nn.Conv2d(4, 6, 3, 2), nn.ReLU(), nn.Conv2d(6, 5, 3)), "7 wide, more than 5"),
        ((nn.Conv2d(4, 6, 3, padding="same"), nn.ReLU(), nn.Conv2d(6, 5, 1)), "not given in numbers"),
        (
            (
                nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
                nn.ReLU(),
                nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect"),
            ),
            "other than zeros",
        ),
        ((nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2)), "does not stand between"),
        ((nn.Conv2d(4, 6, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 5, 1)), "does not stand between"),
        ((nn.Conv2d(4, 6, 3), nn.InstanceNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 1)), "does not stand between"),
    ],
)
def test_what_cannot_be_merged_is_left_alone(layers: tuple[nn.Module, ...], reason: str) -> None:
    network = sequence(*layers)
    assert fold_sites(network) == []
    assert len(reasons(network)) == 1
    assert reason in reasons(network)[0]


@pytest.mark.parametrize("where", ["before the activation", "behind the activation", "behind the norm"])
def test_a_value_that_others_read_is_not_folded_away(where: str) -> None:
    class TwoReaders(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(4, 6, 3, 1, 1), conv(6, 6, 3, 1, 1)
            self.norm, self.relu = nn.BatchNorm2d(6), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            value = self.first(x)
            normed = self.norm(value)
            active = self.relu(normed)
            other = {"before the activation": value, "behind the activation": active, "behind the norm": normed}
            return self.second(active) + other[where]

    network = trace(TwoReaders(), torch.zeros(1, 4, 9, 9))
    assert fold_sites(network) == []
    assert "read in several places" in reasons(network)[0]


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


def test_an_absorbed_projection_is_one_of_the_sites_layers(inputs: Tensor, randomise: Callable[..., nn.Module]) -> None:
    def layers(case: str) -> tuple[str, ...]:
        return Fold().find_sites(trace(build(case, randomise), inputs), Capabilities()).sites[0].layers

    assert layers("projection shortcut") == ("first", "second", "shortcut.0")
    assert layers("identity shortcut") == ("first", "second")
    assert layers("3x3 and 3x3") == ("first", "second")
