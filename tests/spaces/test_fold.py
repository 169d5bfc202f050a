"""Segments that became linear merge exactly, whatever stands in them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, Network, Site, finish, prepare, set_linearity, trace
from parefront.spaces.fold import Fold, fold_choice, folded_activations, n_folded


class Block(nn.Module):
    """layer → BN (→ ReLU6 → layer → BN)*, plus a shortcut where there is one."""

    def __init__(self, *layers: nn.Module, shortcut: nn.Module | None = None, linear_at: int = -1) -> None:
        super().__init__()
        self.layers, self.shortcut = nn.Sequential(), shortcut
        for i, layer in enumerate(layers):
            if i > 0 and i != linear_at:
                self.layers.append(nn.ReLU6())
            self.layers.append(layer)
            self.layers.append(norm_of(layer))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) if self.shortcut is None else self.layers(x) + self.shortcut(x)


def norm_of(layer: nn.Module) -> nn.Module:
    norms = {nn.Linear: nn.BatchNorm1d, nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
    return norms[type(layer)](layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)


def conv(inner: int, outer: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, padding, dilation)


def depthwise(channels: int, stride: int = 1, outer: int | None = None) -> nn.Conv2d:
    return nn.Conv2d(channels, outer or channels, 3, stride, 1, groups=channels)


def projection(inner: int, outer: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))


@dataclass(frozen=True)
class Case:
    """A block and what it becomes: kernel, stride, padding by METHODS section 6, dilation and groups."""

    build: Callable[[], nn.Module]
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    choice: str = "on"
    input_shape: tuple[int, ...] = field(default=(4, 9, 9))  # an odd size, where strides leave a remainder


CASES = {
    "3x3 and 3x3": Case(lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 3, 1, 1)), 5, 1, 2),
    "3x3 of stride 2 and 1x1": Case(lambda: Block(conv(4, 6, 3, 2, 1), conv(6, 5, 1)), 3, 2, 1),
    "3x3 and 3x3 of stride 2": Case(lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 3, 2, 1)), 5, 2, 2),
    "3x3 and 3x3, both of stride 2": Case(lambda: Block(conv(4, 6, 3, 2, 1), conv(6, 5, 3, 2, 1)), 7, 4, 3),
    "1x1 and 3x3": Case(lambda: Block(conv(4, 6, 1), conv(6, 5, 3, 1, 1)), 3, 1, 1),
    "1x1 of stride 2 and 3x3": Case(lambda: Block(conv(4, 6, 1, 2), conv(6, 5, 3, 1, 1)), 5, 2, 2),
    "1x1 and 1x1": Case(lambda: Block(conv(4, 6, 1), conv(6, 5, 1)), 1),
    "identity": Case(lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 4, 3, 1, 1), shortcut=nn.Identity()), 5, 1, 2),
    "projection": Case(lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 5, 3, 2, 1), shortcut=projection(4, 5, 2)), 5, 2, 2),
    "three 3x3": Case(lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 7, 3, 1, 1), conv(7, 5, 3)), 7, 1, 2, choice="on:2"),
    # 3, then 3 + 1 * 2 = 5, then 5 + 2 * 2 = 9; paddings 1 + 1 * 1 + 2 * 1.
    "three 3x3 with a stride": Case(
        lambda: Block(conv(4, 6, 3, 1, 1), conv(6, 7, 3, 2, 1), conv(7, 5, 3, 1, 1)), 9, 2, 4, choice="on:2"
    ),
    "depthwise and 1x1": Case(lambda: Block(depthwise(4), conv(4, 6, 1)), 3, 1, 1),
    "1x1 and depthwise": Case(lambda: Block(conv(4, 6, 1), depthwise(6)), 3, 1, 1),
    "depthwise and depthwise": Case(lambda: Block(depthwise(4), depthwise(4)), 5, 1, 2, groups=4),
    "depthwise pair and identity": Case(
        lambda: Block(depthwise(4), depthwise(4), shortcut=nn.Identity()), 5, 1, 2, groups=4
    ),
    "depthwise that multiplies": Case(lambda: Block(depthwise(4, outer=8), depthwise(8)), 5, 1, 2, groups=4),
    "two groups and four": Case(
        lambda: Block(nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(8, 12, 1, groups=4)), 3, groups=2
    ),
    "four groups and two": Case(lambda: Block(nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 6, 1, groups=2)), 3, groups=2),
    "two groups and three": Case(lambda: Block(nn.Conv2d(4, 6, 1, groups=2), nn.Conv2d(6, 9, 3, groups=3)), 3),
    "inverted residual": Case(
        lambda: Block(conv(4, 24, 1), depthwise(24), conv(24, 4, 1), shortcut=nn.Identity()), 3, 1, 1, choice="on:2"
    ),
    "inverted residual of stride 2": Case(
        lambda: Block(conv(4, 24, 1), depthwise(24, 2), conv(24, 5, 1)), 3, 2, 1, choice="on:2"
    ),
    "inverted residual with a projection": Case(
        lambda: Block(conv(4, 24, 1), depthwise(24, 2), conv(24, 5, 1), shortcut=projection(4, 5, 2)),
        *(3, 2, 1),
        choice="on:2",
    ),
    "no activation behind the first": Case(
        lambda: Block(conv(4, 24, 1), depthwise(24), conv(24, 4, 1), shortcut=nn.Identity(), linear_at=1), 3, 1, 1
    ),
    "dilated and 1x1": Case(lambda: Block(conv(4, 6, 3, 1, 2, 2), conv(6, 5, 1)), 3, 1, 2, 2),
    "dilated and dilated": Case(
        lambda: Block(conv(4, 6, 3, 1, 2, 2), conv(6, 4, 3, 1, 2, 2), shortcut=nn.Identity()), 5, 1, 4, 2
    ),
    # The kernel spans 5 + 2 * (3 - 1) = 9 pixels, with zeros where neither has a tap.
    "dilated of stride 2 and not dilated": Case(lambda: Block(conv(4, 6, 3, 2, 2, 2), conv(6, 5, 3, 1, 1)), 9, 2, 4),
    "one dimension": Case(
        lambda: Block(
            nn.Conv1d(4, 24, 1), nn.Conv1d(24, 24, 3, 1, 1, groups=24), nn.Conv1d(24, 4, 1), shortcut=nn.Identity()
        ),
        *(3, 1, 1),
        choice="on:2",
        input_shape=(4, 9),
    ),
    "three dimensions": Case(
        lambda: Block(nn.Conv3d(4, 12, 1), nn.Conv3d(12, 12, 3, 2, 1, groups=12), nn.Conv3d(12, 5, 1)),
        *(3, 2, 1),
        choice="on:2",
        input_shape=(4, 5, 6, 7),
    ),
}


def block_of(case: Case, randomise: Callable[..., nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return randomise(case.build())


def inputs_of(case: Case) -> Tensor:
    return torch.randn(2, *case.input_shape, generator=torch.Generator().manual_seed(0))


def prepared_and_merged(
    network: Network, configuration: Configuration, inputs: Tensor
) -> tuple[Tensor, Tensor, nn.Module]:
    """Outputs of the prepared network with linear activations, and of the merged one, which comes last."""
    prepared = prepare(network, configuration)
    set_linearity(prepared, 1.0)
    merged = finish(prepared, configuration, inputs).module
    with torch.no_grad():
        return prepared(inputs), merged(inputs), merged


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", CASES)
def test_a_linear_segment_with_moved_padding_merges_exactly(
    name: str, dtype: torch.dtype, tolerance: float, randomise: Callable[..., nn.Module]
) -> None:
    case = CASES[name]
    inputs = inputs_of(case).to(dtype)
    network = trace(block_of(case, randomise).to(dtype), inputs)
    folded = Configuration.of({"fold/layers.0": case.choice})
    expected, values, merged = prepared_and_merged(network, folded, inputs)
    assert values.shape == expected.shape == network.module(inputs).shape
    assert (values - expected).abs().max() <= tolerance * expected.abs().max()
    # Nothing but the one layer is left: the addition is absorbed too.
    assert [node.op for node in merged.graph.nodes] == ["placeholder", "call_module", "output"]
    (layer,) = (module for module in merged.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d))
    sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    assert [set(each) for each in sizes] == [{case.kernel}, {case.stride}, {case.padding}, {case.dilation}]
    assert layer.groups == case.groups


@pytest.mark.parametrize("name", ["3x3 and 3x3", "3x3 and 3x3 of stride 2", "1x1 and 3x3", "1x1 and depthwise"])
def test_prepare_moves_the_padding_and_keeps_the_activation(name: str, randomise: Callable[..., nn.Module]) -> None:
    case = CASES[name]
    inputs, model = inputs_of(case), block_of(case, randomise)
    first, first_norm, activation, second, second_norm = model.layers
    prepared = prepare(trace(model, inputs), Configuration.of({"fold/layers.0": "on"}))
    with torch.no_grad():
        middle = functional.conv2d(inputs, first.weight, first.bias, first.stride, case.padding)
        middle = activation(first_norm(middle))
        outer = functional.conv2d(middle, second.weight, second.bias, second.stride, groups=second.groups)
        torch.testing.assert_close(prepared(inputs), second_norm(outer))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_layers", [2, 3, 4])
def test_linear_layers_merge_exactly(n_layers: int, dtype: torch.dtype, randomise: Callable[..., nn.Module]) -> None:
    sizes = [7, 9, 8, 6, 5]
    layers: list[nn.Module] = [nn.Linear(7, 9)]
    for inner, outer in itertools.pairwise(sizes[1 : n_layers + 1]):
        layers += [nn.BatchNorm1d(inner), nn.GELU(), nn.Dropout(0.5), nn.Linear(inner, outer)]
    model = randomise(nn.Sequential(*layers, nn.BatchNorm1d(sizes[n_layers]))).to(dtype)
    inputs = torch.randn(3, 7, dtype=dtype, generator=torch.Generator().manual_seed(0))
    folded = Configuration.of({"fold/0": fold_choice(n_layers - 1)})
    expected, values, merged = prepared_and_merged(trace(model, inputs), folded, inputs)
    assert (values - expected).abs().max() <= (1e-5 if dtype == torch.float32 else 1e-12) * expected.abs().max()
    assert [type(module) for module in merged.children()] == [nn.Linear]


def test_pruned_channels_stay_out_of_the_merged_layer(randomise: Callable[..., nn.Module]) -> None:
    block = Block(conv(16, 48, 1), depthwise(48), conv(48, 16, 1), shortcut=nn.Identity())
    model = randomise(nn.Sequential(conv(4, 16, 3, 1, 1), block, nn.ReLU(), conv(16, 5, 1)))
    inputs = inputs_of(CASES["3x3 and 3x3"])
    # The inner width has no effect in the end, and is pruned all the same: merging goes by what it finds.
    pruned = Configuration.of({"fold/1.layers.0": "on:2", "prune/0": 8, "prune/1.layers.0": 24})
    expected, values, merged = prepared_and_merged(trace(model, inputs), pruned, inputs)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)
    layer = merged.get_submodule("1.layers.0")
    assert isinstance(layer, nn.Conv2d)
    assert (layer.in_channels, layer.out_channels, layer.kernel_size) == (8, 8, (3, 3))


# What is offered.


def sites_of(model: nn.Module, technique: Fold = Fold()) -> dict[str, Site]:  # noqa: B008
    network = trace(model, torch.zeros(2, 4, 9, 9))
    return {site.name: site for site in technique.find_sites(network, Capabilities()).sites}


def test_only_what_may_pay_is_offered() -> None:
    # Merged into one dense 3 x 3: 4 * 4 * 9 = 144 weights for 96 + 216 + 96. Either half alone is dense with 24
    # channels at one end: 4 * 24 * 9 = 864 weights for 312.
    sites = sites_of(Block(conv(4, 24, 1), depthwise(24), conv(24, 4, 1), shortcut=nn.Identity()))
    assert [site.choices for site in sites.values()] == [("off", "on:2")]
    assert sites["fold/layers.0"].layers == ("layers.0", "layers.3", "layers.6")


def test_the_bounds_can_be_set() -> None:
    model = Block(conv(4, 24, 1), depthwise(24), conv(24, 4, 1))
    assert sites_of(model, Fold(max_growth=0.35)) == {}  # 144 / 408 = 0.353
    assert len(sites_of(model, Fold(max_growth=0.36))) == 1
    assert {name: site.choices for name, site in sites_of(model, Fold(max_growth=3)).items()} == {
        "fold/layers.0": ("off", "on", "on:2"),
        "fold/layers.3": ("off", "on"),
    }
    assert sites_of(model, Fold(max_kernel=2)) == {}


def test_each_choice_says_which_layers_it_touches() -> None:
    model = Block(conv(4, 6, 1), conv(6, 6, 3, 2, 1), conv(6, 5, 1), shortcut=projection(4, 5, 2))
    site = sites_of(model)["fold/layers.0"]
    assert site.layers == ("layers.0", "layers.3", "layers.6", "shortcut.0")
    assert site.choices == ("off", "on", "on:2")
    assert [site.touched(choice) for choice in site.choices] == [(), ("layers.0", "layers.3"), site.layers]


def test_each_choice_says_which_activations_become_linear() -> None:
    model = Block(conv(4, 6, 1), conv(6, 6, 3, 2, 1), conv(6, 5, 1))
    module = trace(model, torch.zeros(2, 4, 9, 9)).module
    # Each layer with its norm, an activation between: the layers are 0, 3 and 6.
    found = [folded_activations(module, "layers.0", choice) for choice in ("off", "on", "on:2")]
    assert found == [(), ("layers.2",), ("layers.2", "layers.5")]
    assert folded_activations(module, "layers.3", "on") == ("layers.5",)


def test_choices_count_the_activations() -> None:
    assert [fold_choice(n) for n in range(4)] == ["off", "on", "on:2", "on:3"]
    assert [n_folded(choice) for choice in ("off", "on", "on:2", "on:3")] == [0, 1, 2, 3]


@pytest.mark.parametrize("choice", ["no", "on:", "on:1", "on:x", "off:2", 1])
def test_another_choice_is_refused(choice: str | int) -> None:
    with pytest.raises(SpaceError, match=rf"a fold must be off, on, or on:N with N from 2, got '?{choice}'?"):
        n_folded(choice)


# A network that people bring.


@pytest.fixture(scope="module")
def mobilenet(randomise: Callable[..., nn.Module]) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return trace(randomise(torchvision.models.mobilenet_v2(weights=None)), torch.zeros(1, 3, 96, 96))


def test_mobilenet_folds_its_inverted_residuals(mobilenet: Network) -> None:
    sites = {site.layer: site for site in Fold().find_sites(mobilenet, Capabilities()).sites}
    with_identity = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)
    for block in with_identity:
        site = sites[f"features.{block}.conv.0.0"]
        assert site.choices == ("off", "on:2")
        assert site.layers == tuple(f"features.{block}.conv.{part}" for part in ("0.0", "1.0", "2"))
    inputs = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    folded = Configuration.of({f"fold/features.{block}.conv.0.0": "on:2" for block in with_identity})
    expected, values, merged = prepared_and_merged(mobilenet, folded, inputs)
    assert (values - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert not any("add" in str(node.target) for node in merged.graph.nodes)
