import copy
import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import CompressionOptions, Configuration, Network, SearchSpace, find_space, prepare, trace
from parefront.spaces.rank_schemes import factor_weights, parse_rank
from parefront.tasks.residual_networks import FusedResNet


def space_of(model: nn.Module, images: Tensor) -> SearchSpace:
    return find_space(trace(model, images[:2]), Capabilities())


@pytest.fixture
def space(build: Callable[[str], nn.Module], images: Tensor) -> SearchSpace:
    return space_of(build("residual"), images)


def test_sites_stand_by_technique_in_the_order_of_the_layers(space: SearchSpace) -> None:
    techniques = [site.technique for site in space.sites]
    assert list(dict.fromkeys(techniques)) == ["fold", "rank", "prune", "bits"]
    assert space.n_configurations == torch.tensor([len(site.choices) for site in space.sites]).prod()
    assert space.site("prune/conv1").layers == ("conv1", "layer1.0.conv2")


# What a person sets.


def test_neutral_choices_are_left_out(space: SearchSpace) -> None:
    configuration = space.parse({"prune/conv1": 8, "bits/conv1": 32, "fold/layer1.0.conv1": "off"})
    assert dict(configuration) == {"prune/conv1": 8}


def test_an_unknown_site_names_the_closest_first(space: SearchSpace) -> None:
    with pytest.raises(
        SpaceError, match=r"^unknown site 'bits/layer1\.0\.conv': the closest of \d+ are bits/layer1\.0\.conv"
    ) as e:
        space.parse({"bits/layer1.0.conv": 8})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("site", "choice", "message"),
    [
        ("prune/layer2.0.conv1", 15, "prune/layer2.0.conv1 must be one of 16, 8, 24, 32, got 15: choose one of these"),
        ("bits/fc", 4, "bits/fc must be one of 8, 32, got 4: choose one of these"),
        ("bits/fc", "8", "bits/fc must be one of 8, 32, got '8': choose one of these"),
        ("fold/layer1.0.conv1", "no", "fold/layer1.0.conv1 must be one of on, off, got 'no': choose one of these"),
    ],
)
def test_an_unknown_choice_names_the_closest_first(
    space: SearchSpace, site: str, choice: int | str, message: str
) -> None:
    with pytest.raises(SpaceError) as error:
        space.parse({site: choice})
    assert str(error.value) == message


def test_conflicts_are_refused_with_the_rule(space: SearchSpace) -> None:
    rank = space.site("rank/layer1.0.conv1").choices[-1]
    fold = {"fold/layer1.0.conv1": "on"}
    pair = "layer1.0.conv1 and layer1.0.conv2 into one layer"
    for choices, rule in (
        ({"rank/layer1.0.conv1": rank}, f"fold/layer1.0.conv1=on merges {pair}, which is not factorised"),
        ({"prune/layer1.0.conv1": 8}, f"merges {pair}, which has no inner width"),
        ({"bits/layer1.0.conv2": 8}, f"merges {pair}, whose bits are bits/layer1.0.conv1"),
    ):
        with pytest.raises(SpaceError, match=r"has no effect: .*; leave one of the two out$") as error:
            space.parse({**fold, **choices})
        assert rule in str(error.value)
        assert dict(space.parse(choices)) == choices  # each alone is fine
    both = {**fold, "bits/layer1.0.conv1": 8, "prune/conv1": 8}  # nor do these disagree
    assert dict(space.parse(both)) == both


def test_two_folds_of_one_layer_are_refused(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    space = space_of(model, images)
    with pytest.raises(SpaceError, match=r"fold/2=on has no effect: one of 2, 4 is already part of another fold"):
        space.parse({"fold/0": "on", "fold/2": "on"})
    assert dict(space.canonical({"fold/0": "on", "fold/2": "on"})) == {"fold/0": "on"}
    assert dict(space.parse({"fold/2": "on"})) == {"fold/2": "on"}


def test_a_rank_that_no_longer_saves_is_refused_with_the_widths(images: Tensor) -> None:
    space, choice = space_with_a_moot_rank(images)
    with pytest.raises(SpaceError, match=r"at 8 x 8 channels its factors cost no less than the layer"):
        space.parse({"rank/2": choice, "prune/0": 8, "prune/2": 8})
    assert dict(space.parse({"rank/2": choice})) == {"rank/2": choice}


# What a proposer proposes.


def space_with_a_moot_rank(images: Tensor) -> tuple[SearchSpace, str]:
    """A layer of 64 x 64 whose ranks save at full width: at 8 x 8, spatial:r costs 48 r of 576."""
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU6(), nn.Conv2d(64, 64, 3), nn.ReLU6(), nn.Conv2d(64, 4, 3))
    space = space_of(model, images)
    ranks = [str(choice) for choice in space.site("rank/2").choices if str(choice).startswith("spatial")]
    choice = next(choice for choice in ranks if parse_rank(choice)[1][0] >= 12)
    assert factor_weights(choice, 64, 64, (3, 3)) < 64 * 64 * 9
    return space, choice


def test_the_precedence_is_fold_rank_prune_bits(space: SearchSpace) -> None:
    rank = space.site("rank/layer1.0.conv1").choices[-1]
    proposed = {
        "fold/layer1.0.conv1": "on",
        "rank/layer1.0.conv1": rank,
        "prune/layer1.0.conv1": 8,
        "bits/layer1.0.conv1": 8,
        "bits/layer1.0.conv2": 8,
        "bits/fc": 32,
        "prune/conv1": 8,
    }
    assert dict(space.canonical(proposed)) == {
        "fold/layer1.0.conv1": "on",
        "bits/layer1.0.conv1": 8,
        "prune/conv1": 8,
    }
    without_fold = {name: choice for name, choice in proposed.items() if not name.startswith("fold")}
    del without_fold["bits/fc"]
    cost = factor_weights(str(rank), 8, 8, (3, 3))
    expected = without_fold if cost < 8 * 8 * 9 else {k: v for k, v in without_fold.items() if not k.startswith("rank")}
    assert dict(space.canonical(without_fold)) == expected


def test_a_rank_that_no_longer_saves_becomes_neutral(images: Tensor) -> None:
    space, choice = space_with_a_moot_rank(images)
    assert dict(space.canonical({"rank/2": choice, "prune/0": 8, "prune/2": 8})) == {"prune/0": 8, "prune/2": 8}
    assert dict(space.canonical({"rank/2": choice, "prune/0": 56})) == {"rank/2": choice, "prune/0": 56}


def test_a_fold_that_absorbs_a_projection_speaks_for_it() -> None:
    space = space_of(FusedResNet(16, (1, 1, 1)), torch.zeros(2, 1, 32, 32))
    site = space.site("fold/stage2.0.expand")
    assert site.choices == ("off", "on")
    assert site.layers == ("stage2.0.expand", "stage2.0.project", "stage2.0.shortcut.0")
    fold = {"fold/stage2.0.expand": "on"}
    assert dict(space.canonical({**fold, "bits/stage2.0.shortcut.0": 8})) == fold


@pytest.fixture(scope="module")
def inverted_space() -> SearchSpace:
    """stem → 1 x 1, depthwise, 1 x 1 with a shortcut → head; then 1 x 1, 3 x 3, 1 x 1."""

    class Inverted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
            self.expand, self.project = nn.Conv2d(16, 64, 1), nn.Conv2d(64, 16, 1)
            self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
            self.reduce, self.middle, self.grow = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.stem(x))
            x = x + self.project(torch.relu(self.depthwise(torch.relu(self.expand(x)))))
            x = torch.relu(torch.max_pool2d(self.head(x), 2))
            return self.grow(torch.relu(self.middle(torch.relu(self.reduce(x)))))

    return space_of(Inverted(), torch.zeros(2, 3, 16, 16))


def test_a_folded_segment_is_one_layer(inverted_space: SearchSpace) -> None:
    fold = {"fold/expand": "on:2"}
    merges = "fold/expand=on:2 merges expand, depthwise and project into one layer"
    assert {moot.site: moot.rule for moot in inverted_space.moot_sites(fold)} == {
        "rank/expand": f"{merges}, which is not factorised",
        "rank/depthwise": f"{merges}, which is not factorised",
        "rank/project": f"{merges}, which is not factorised",
        "bits/depthwise": f"{merges}, whose bits are bits/expand",
        "bits/project": f"{merges}, whose bits are bits/expand",
        "prune/expand": f"{merges}, which has no inner width",
    }
    around = {**fold, "bits/expand": 8, "prune/stem": 8}
    assert dict(inverted_space.parse(around)) == around
    with pytest.raises(SpaceError, match=r"prune/expand=32 has no effect: fold/expand=on:2 merges .* no inner width"):
        inverted_space.parse({**fold, "prune/expand": 32})


def test_a_choice_speaks_only_for_the_layers_that_it_merges(inverted_space: SearchSpace) -> None:
    assert inverted_space.site("fold/reduce").choices == ("off", "on", "on:2")
    short, long = {"fold/reduce": "on"}, {"fold/reduce": "on:2"}
    others = {"bits/grow": 8, "prune/middle": 8}
    assert dict(inverted_space.canonical({**short, **others})) == {**short, **others}
    assert dict(inverted_space.canonical({**long, **others})) == long
    # What follows a short segment may be folded; but its first layer may not be the last of another.
    overlapping = {"fold/reduce": "on", "fold/middle": "on"}
    assert dict(inverted_space.canonical(overlapping)) == short
    with pytest.raises(SpaceError, match=r"fold/middle=on has no effect: one of middle, grow is already part of"):
        inverted_space.parse(overlapping)


def test_a_canonical_configuration_stays_as_it_is_and_is_accepted(network: Network) -> None:
    space = find_space(network, Capabilities())
    for seed in range(50):
        generator = random.Random(seed)
        configuration = space.canonical({site.name: generator.choice(site.choices) for site in space.sites})
        assert space.canonical(configuration) == configuration
        assert space.parse(configuration) == configuration
        assert not {moot.site for moot in space.moot_sites(configuration)} & set(configuration)


# Widths.


def test_a_flattened_map_loses_all_pixels_of_a_channel(build: Callable[[str], nn.Module], images: Tensor) -> None:
    widths = space_of(build("plain"), images).widths["classifier.1"]
    assert widths.under({}) == (32 * 16, 48)
    assert widths.under({"prune/features.9": 8, "prune/classifier.1": 16}) == (8 * 16, 16)


def test_a_layer_behind_a_flattened_map_keeps_its_rank(build: Callable[[str], nn.Module], images: Tensor) -> None:
    space = space_of(build("plain"), images)
    rank = str(space.site("rank/classifier.1").choices[-1])
    choices = {"rank/classifier.1": rank, "prune/features.9": 16}
    # svd:r costs r (256 + 48) of 256 x 48 weights: any r up to 40 saves.
    assert parse_rank(rank)[1][0] <= 40
    assert dict(space.canonical(choices)) == choices


def test_a_concatenation_loses_what_each_of_its_parts_loses() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.both = nn.Conv2d(3, 16, 1), nn.Conv2d(3, 24, 1), nn.Conv2d(40, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.both(torch.relu(torch.cat([self.left(x), self.right(x)], 1)))

    widths = find_space(trace(Forked(), torch.zeros(2, 3, 4, 4)), Capabilities()).widths["both"]
    assert widths.under({"prune/left": 8}) == (32, 4)
    assert widths.under({"prune/left": 8, "prune/right": 8}) == (16, 4)


def test_a_depthwise_convolution_is_as_wide_as_what_it_reads() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 16, 1), nn.Conv2d(3, 24, 1)
            self.depthwise, self.last = nn.Conv2d(40, 80, 3, groups=40), nn.Conv2d(80, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.depthwise(torch.cat([self.left(x), self.right(x)], 1))))

    widths = find_space(trace(Joined(), torch.zeros(2, 3, 4, 4)), Capabilities()).widths
    for choices, inner in (({}, 40), ({"prune/left": 8}, 32), ({"prune/left": 8, "prune/right": 16}, 24)):
        assert widths["depthwise"].under(choices) == (inner, 2 * inner)  # two outputs per input
        assert widths["depthwise"].weights_under(choices) == 9 * 2 * inner
        assert widths["last"].under(choices) == (2 * inner, 4)


def test_weights_of_dense_grouped_and_flattened_layers() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, (3, 1), groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 6)
    )
    widths = space_of(model, torch.zeros(2, 3, 6, 4)).widths  # 4 x 2 pixels, then 2 x 2
    assert {name: each.weights_under({}) for name, each in widths.items()} == {
        "0": 9 * 3 * 32,
        "2": 3 * (32 // 4) * 64,
        "5": 256 * 6,
    }
    choices = {"prune/0": 16, "prune/2": 40}
    assert {name: each.under(choices) for name, each in widths.items()} == {
        "0": (3, 16),
        "2": (16, 40),
        "5": (4 * 40, 6),
    }
    assert {name: each.weights_under(choices) for name, each in widths.items()} == {
        "0": 9 * 3 * 16,
        "2": 3 * (16 // 4) * 40,
        "5": 4 * 40 * 6,
    }


@pytest.mark.parametrize("kind", ["residual", "plain", "shared-activation"])
def test_widths_are_those_of_the_pruned_network(kind: str, build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build(kind), images[:2])
    space = find_space(network, Capabilities())
    narrowest = {site.name: site.choices[-1] for site in space.sites if site.technique == "prune"}
    module = prepare(network, space.parse(narrowest))
    for name, widths in space.widths.items():
        assert widths.weights_under(narrowest) == module.get_submodule(name).weight.numel()


def test_a_network_without_sites_is_refused(images: Tensor) -> None:
    space = space_of(nn.Sequential(nn.ReLU()), images)
    with pytest.raises(SpaceError, match="nothing can be compressed"):
        space.check_not_empty()


def test_finding_the_space_does_not_touch_the_network(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    before = copy.deepcopy(network.module.state_dict())
    find_space(network, Capabilities())
    after = network.module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_ties_leave_no_zeros_and_are_for_layers_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    options = CompressionOptions(has_stored=True, has_operators=True)
    space = find_space(trace(model.eval(), torch.zeros(2, 64)), Capabilities(channel_grid=4), options)
    tied = {"code/2": "circulant:16"}
    assert "circulant:16" in space.site("code/2").choices
    assert space.canonical({**tied, "sparsity/2": 80}) == Configuration.of(tied)
    assert space.canonical({**tied, "prune/0": 32}) == Configuration.of({**tied, "prune/0": 32})
    assert space.canonical({**tied, "prune/0": 36}) == Configuration.of({"prune/0": 36})
    rank = space.site("rank/2").choices[-1]
    assert space.canonical({**tied, "rank/2": rank}) == Configuration.of({"rank/2": rank})
