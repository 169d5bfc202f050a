import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import (
    Choice,
    CompressionOptions,
    Network,
    SearchSpace,
    find_space,
    finish,
    observe,
    prepare,
    trace,
)
from parefront.spaces.patch_moments import measure_patch_moments
from parefront.spaces.substitute import Substitute, operator_losses, operator_weight

ON = CompressionOptions(has_operators=True)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network_of(*layers: nn.Module, shape: tuple[int, ...]) -> Network:
    return trace(nn.Sequential(*layers), torch.zeros(2, *shape))


def choices_of(layer: nn.Module, shape: tuple[int, ...], grid: int = 8) -> tuple[Choice, ...]:
    sites = Substitute().find_sites(network_of(layer, shape=shape), Capabilities(channel_grid=grid)).sites
    return next((site.choices for site in sites), ())


# What is offered.


def test_from_the_full_layer_to_the_fewest_multiplications() -> None:
    choices = choices_of(nn.Conv2d(64, 48, 3, padding=1), (64, 6, 6))
    # Per position 64 * 48 * 9 = 27648; squeezed to S 64 S + 24 S + 24 * 9 S = 304 S; 64 * 9 + 64 * 48 = 3648; 3072.
    assert choices == ("full", "fire:32", "fire:16", "separable", "pointwise", "fire:8")


@pytest.mark.parametrize(
    ("layer", "choices"),
    [
        (nn.Conv2d(16, 24, 5, stride=2, padding=2), ("full", "fire:8", "separable", "pointwise")),
        (nn.Conv2d(16, 24, 3, dilation=2, padding="same"), ("full", "fire:8", "separable", "pointwise")),
        # 1 x 1 in their place would give larger maps.
        (nn.Conv2d(16, 24, 3), ("full", "separable")),
        (nn.Conv2d(16, 24, 4, padding=1), ("full", "separable")),
        # No channels to squeeze; and of one channel a kernel for each is what there was.
        (nn.Conv2d(8, 24, 3, padding=1), ("full", "separable", "pointwise")),
        (nn.Conv2d(1, 24, 3, padding=1), ("full", "pointwise")),
        # 2 x 9 and 2 x 1 weights are more than 2 x 9.
        (nn.Conv2d(2, 1, 3, padding=1), ("full", "pointwise")),
    ],
)
def test_each_convolution_gets_the_operators_of_its_shape(layer: nn.Conv2d, choices: tuple[str, ...]) -> None:
    assert choices_of(layer, (layer.in_channels, 9, 9)) == choices


@pytest.mark.parametrize(
    ("layer", "shape", "reason"),
    [
        (nn.Conv2d(16, 16, 1), (16, 9, 9), "smaller than 3 x 3"),
        (nn.Conv2d(16, 16, (1, 7)), (16, 9, 9), "smaller than 3 x 3"),
        (nn.Conv2d(16, 16, 3, groups=4), (16, 9, 9), "in groups"),
        (nn.Conv2d(16, 16, 4, padding="same"), (16, 9, 9), "differs between the two sides"),
        (nn.Conv1d(16, 16, 3), (16, 9), "only two-dimensional convolutions"),
        (nn.Linear(16, 16), (16,), "only two-dimensional convolutions"),
        (nn.Conv2d(1, 1, 3), (1, 9, 9), "no operator takes fewer"),
    ],
)
def test_the_others_are_left_alone(layer: nn.Module, shape: tuple[int, ...], reason: str) -> None:
    found = Substitute().find_sites(network_of(layer, shape=shape), Capabilities())
    assert found.sites == ()
    assert reason in found.left_alone[0].reason


def test_a_layer_that_is_called_twice_is_left_alone() -> None:
    conv = nn.Conv2d(16, 16, 3, padding=1)
    found = Substitute().find_sites(network_of(conv, nn.ReLU(), conv, shape=(16, 5, 5)), Capabilities())
    assert [item.reason for item in found.left_alone] == ["its weight is used in several places"]


def test_layers_that_lose_channels_in_sets_are_not_cut_in_halves() -> None:
    network = network_of(nn.Conv2d(16, 32, 3, padding=1), nn.Conv2d(32, 32, 3, groups=4), shape=(16, 9, 9))
    (site,) = Substitute().find_sites(network, Capabilities()).sites
    assert site.choices == ("full", "separable", "pointwise")


def test_operators_are_offered_on_demand_only(images: Tensor, build: Callable[[str], nn.Module]) -> None:
    network = trace(build("plain"), images[:2])
    assert not [site for site in find_space(network, Capabilities()).sites if site.technique == "operator"]
    assert [site.layer for site in space_of(network).sites if site.technique == "operator"] == [
        *("features.0", "features.3", "features.9"),
    ]
    assert observe(network, images, CompressionOptions()).patch_moments == {}
    assert set(observe(network, images, ON).patch_moments) == {"features.0", "features.3", "features.9"}


# How it is made real.


def test_what_an_operator_can_compute_is_the_same_network() -> None:
    conv = nn.Conv2d(16, 12, 3, stride=2, padding=1)
    with torch.no_grad():
        conv.weight.copy_(random(12, 16, 1, 1) * random(1, 16, 3, 3, seed=1))
    network = network_of(nn.ReLU(), conv, nn.Flatten(), shape=(16, 7, 7))
    module = prepare(network, space_of(network).parse({"operator/1": "separable"}))
    names = [str(node.target) for node in module.graph.nodes if node.op == "call_module"]
    assert names == ["0", "1.0", "1.1", "2"]
    inputs = random(2, 16, 7, 7)
    with torch.no_grad():
        torch.testing.assert_close(module(inputs), network.module(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("choice", ["fire:8", "separable", "pointwise"])
def test_outputs_are_nearer_where_the_patches_are_known(choice: str, has_bias: bool) -> None:
    conv = nn.Conv2d(16, 12, 3, padding=1, bias=has_bias)
    with torch.no_grad():
        conv.weight.copy_(random(12, 16, 3, 3))
    # Smooth images, so that neighbours tell of each other, and far from zero, as behind a ReLU.
    images = nn.functional.avg_pool2d(random(64, 16, 12, 12, seed=1), 5, 1).add(0.3).relu()
    network = network_of(conv, shape=(16, 8, 8))
    known = replace(network, patch_moments=measure_patch_moments(network.module, images, ["0"]))
    errors = []
    with torch.no_grad():
        expected = conv(images)
        for each in (network, known):
            module = copy.deepcopy(network.module)
            Substitute().prepare(module, {"0": choice}, each)
            errors.append(float((module(images) - expected).square().mean()))
    assert errors[1] < 0.7 * errors[0]
    # What was foreseen from the moments alone: the operator's own bias makes up for the mean.
    energy = (expected - expected.mean((0, 2, 3), keepdim=True)).square().mean()
    lost = operator_losses(network.module.get_submodule("0"), known.patch_moments["0"], (choice,))[choice]
    assert errors[1] / float(energy) == pytest.approx(lost, rel=1e-2)


@pytest.mark.parametrize("choice", ["fire:8", "separable", "pointwise"])
def test_one_convolution_computes_what_an_operator_does(choice: str) -> None:
    conv = nn.Conv2d(16, 12, 3, padding=1, bias=False)
    network, images = network_of(conv, shape=(16, 8, 8)), random(2, 16, 8, 8)
    module = prepare(network, space_of(network).parse({"operator/0": choice}))
    weight = operator_weight(conv, choice, None)
    with torch.no_grad():
        expected = nn.functional.conv2d(images.double(), weight, padding=1)
        torch.testing.assert_close(module(images).double(), expected, rtol=1e-4, atol=1e-4)


def test_an_edited_layer_is_taken_as_it_is() -> None:
    network = network_of(nn.Conv2d(4, 5, 3, padding=1), shape=(4, 7, 7))
    Substitute().prepare(copy.deepcopy(network.module), {"0": "pointwise"}, network)  # remembered from here on
    module = copy.deepcopy(network.module)
    with torch.no_grad():
        module.get_parameter("0.weight").fill_(2.0)
    Substitute().prepare(module, {"0": "pointwise"}, network)
    torch.testing.assert_close(module.get_parameter("0.weight").detach(), torch.full((5, 4, 1, 1), 2.0))


# Beside other choices.


def space_of(network: Network) -> SearchSpace:
    return find_space(network, Capabilities(), ON)


def shapes(network: Network, choices: Mapping[str, Choice]) -> dict[str, tuple[int, ...]]:
    """Of the weights of the finished network."""
    configuration = space_of(network).parse(choices)
    inputs = random(4, *network.example_inputs[0].shape[1:])
    prepared = prepare(network, configuration)
    finished = finish(prepared, configuration, inputs)
    with torch.no_grad():
        torch.testing.assert_close(finished.module(inputs), prepared(inputs), rtol=1e-3, atol=1e-4)
    assert not [each for each in finished.module.modules() if isinstance(each, nn.BatchNorm2d)]
    return {
        name.removesuffix(".weight"): tuple(value.shape)
        for name, value in finished.module.state_dict().items()
        if name.endswith("weight")
    }


def test_both_halves_of_a_fire_module_lose_as_many_channels(images: Tensor, build: Callable[[str], nn.Module]) -> None:
    found = shapes(trace(build("plain"), images[:2]), {"operator/features.3": "fire:8", "prune/features.3": 16})
    assert found["features.3.0"] == (8, 16, 1, 1)
    assert found["features.3.1"] == (8, 8, 1, 1)
    assert found["features.3.2"] == (8, 8, 3, 3)
    assert found["features.7"] == (32, 16, 1, 1)


class Residual(nn.Module):
    """Two 3 x 3 convolutions whose outputs meet in a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.second, self.norm2 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.first(x)))
        return self.head(torch.relu(self.norm2(self.second(x)) + x))


@pytest.mark.parametrize("both", [False, True])
def test_coupled_layers_lose_the_same_channels_of_each_half(both: bool, randomise: Callable[..., nn.Module]) -> None:
    model = randomise(Residual())
    with torch.no_grad():
        model.first.weight[8:] *= 100  # by their weights alone all of the first half would go
        model.second.weight[8:] *= 100
    network = trace(model, torch.zeros(2, 3, 8, 8))
    first = {"operator/first": "separable" if both else "full"}
    found = shapes(network, {**first, "operator/second": "fire:8", "prune/first": 8})
    assert found["second.1"] == (4, 8, 1, 1)
    assert found["second.2"] == (4, 8, 3, 3)
    assert found["head"] == (4, 8, 1, 1)
    if both:
        assert (found["first.0"], found["first.1"]) == ((3, 1, 3, 3), (8, 3, 1, 1))
    else:
        assert found["first"] == (8, 3, 3, 3)


def test_a_layer_with_another_operator_has_no_rank(images: Tensor, build: Callable[[str], nn.Module]) -> None:
    space = space_of(trace(build("plain"), images[:2]))
    rank = space.site("rank/features.3").choices[-1]
    choices = {"operator/features.3": "separable", "rank/features.3": rank}
    assert dict(space.canonical(choices)) == {"operator/features.3": "separable"}
    with pytest.raises(SpaceError, match="separable puts another operator in its place"):
        space.parse(choices)


def test_a_folded_layer_has_no_other_operator(images: Tensor, build: Callable[[str], nn.Module]) -> None:
    space = space_of(trace(build("plain"), images[:2]))
    choices = {"fold/features.0": "on", "operator/features.3": "separable"}
    assert dict(space.canonical(choices)) == {"fold/features.0": "on"}
    with pytest.raises(SpaceError, match="which stays a convolution"):
        space.parse(choices)


def test_an_operator_that_saves_nothing_at_pruned_widths_gives_way_to_the_rank() -> None:
    network = network_of(
        nn.Conv2d(3, 24, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(24, 4, 1),
        shape=(3, 8, 8),
    )  # fmt: skip
    space = find_space(network, Capabilities(channel_grid=4), ON)
    # At 4 outputs the layer takes 4 * 9 * 24 = 864 per position; squeezing 24 to 12 at 4 positions each alone 1152.
    choices: dict[str, Choice] = {"operator/2": "fire:12", "prune/2": 4}
    assert dict(space.canonical(choices)) == {"prune/2": 4}
    with pytest.raises(SpaceError, match="at 24 x 4 channels it takes no less than the layer"):
        space.parse(choices)
    # So a rank that does pay is not in its way.
    rank = next(
        choice
        for choice in space.site("rank/2").choices[1:]
        if len(space.canonical({"rank/2": choice, "prune/2": 4})) == 2
    )
    assert dict(space.canonical({**choices, "rank/2": rank})) == {"prune/2": 4, "rank/2": rank}
