"""What belongs together and what must stay; that pruning is exact is proved in `test_pruning_is_exact.py`."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import trace
from parefront.spaces.channel_follower import follow_channels
from parefront.spaces.channel_groups import ChannelGroup, Channels
from parefront.spaces.channel_removal import prune_channels, share_weights, unprunable


class Forked(nn.Module):
    """Two convolutions whose maps are concatenated for one that reads both, then flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 4, 3)
        self.both = nn.Conv2d(12, 6, 1)
        self.fc = nn.Linear(6 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.both(torch.cat([self.left(x), self.right(x)], 1)))
        return self.fc(torch.flatten(x, 1))


def channels_of(model: nn.Module, *inputs: Tensor) -> Channels:
    return trace(model, inputs).channels


def summary(group: ChannelGroup) -> tuple[object, ...]:
    return group.producers, group.consumers, group.followers, group.width, group.step


def test_residual_additions_couple_channels(build: Callable[[str], nn.Module], images: Tensor) -> None:
    groups = channels_of(build("residual"), images[:2]).groups
    assert [(group.producers, group.width) for group in groups] == [
        (("conv1", "layer1.0.conv2"), 16),
        (("layer1.0.conv1",), 16),
        (("layer2.0.conv1",), 32),
        (("layer2.0.conv2", "layer2.0.downsample.0"), 32),
    ]
    stem = groups[0]
    assert stem.name == "conv1"
    assert stem.consumers == (("layer1.0.conv1", 16), ("layer2.0.conv1", 16), ("layer2.0.downsample.0", 16))
    for classes in stem.classes.values():
        assert classes.tolist() == list(range(16))


def test_the_outputs_are_part_of_no_group(build: Callable[[str], nn.Module], images: Tensor) -> None:
    for kind, last in (("residual", "fc"), ("plain", "head"), ("functional", "fc2")):
        channels = channels_of(build(kind), images[:2])
        assert last not in {name for group in channels.groups for name in group.producers}
        assert channels.fixed == {last: "its channels are the model's outputs"}


def test_consumers_count_their_inputs_in_the_group(capsys: pytest.CaptureFixture[str]) -> None:
    channels = channels_of(Forked(), torch.zeros(2, 3, 4, 4))
    assert [summary(group) for group in channels.groups] == [
        (("left",), (("both", 8),), (), 8, 1),
        (("right",), (("both", 4),), (), 4, 1),
        (("both",), (("fc", 24),), (), 6, 1),  # of 4 x 4 pixels a 3 x 3 convolution leaves 2 x 2
    ]
    assert capsys.readouterr().err == ""


def test_followers_count_theirs() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 4, 1)
            self.depthwise, self.last = nn.Conv2d(12, 24, 3, groups=12), nn.Conv2d(24, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.depthwise(torch.cat([self.left(x), self.right(x)], 1)))

    groups = channels_of(Joined(), torch.zeros(2, 3, 4, 4)).groups
    # Two outputs for each input of the depthwise convolution.
    assert [(group.followers, group.consumers) for group in groups] == [
        ((("depthwise", 8),), (("last", 16),)),
        ((("depthwise", 4),), (("last", 8),)),
    ]


def test_channels_of_grouped_convolutions_and_heads_go_in_steps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 1, groups=4), nn.Conv2d(12, 2, 1))
    first, second = channels_of(model, torch.zeros(1, 3, 2, 2)).groups
    assert (first.width, first.step, first.n_classes) == (8, 4, 2)
    assert (second.width, second.step, second.n_classes) == (12, 4, 3)
    assert first.classes["0"].tolist() == [0, 1] * 4  # the same place in each of the groups
    assert second.classes["1"].tolist() == [0, 1, 2] * 4


# What must stay, with the reason.


class Between(nn.Module):
    """An operation between two layers."""

    def __init__(self, operation: Callable[[Tensor], Tensor], n_inputs: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(n_inputs, 2)
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.operation(self.first(x)))


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (lambda x: torch.softmax(x, -1), "its channels reach 'softmax', through which they cannot be followed"),
        (lambda x: functional.normalize(x), "its channels reach 'normalize', through which they cannot be followed"),
        (lambda x: x @ torch.ones(8, 8), "its channels reach 'matmul', through which they cannot be followed"),
        (lambda x: x - x.mean(1, keepdim=True), "its channels reach 'mean', through which they cannot be followed"),
        (lambda x: x.cumsum(1), "its channels reach 'cumsum', through which they cannot be followed"),
        (
            lambda x: functional.avg_pool1d(x, 3, 1, 1),
            "its channels reach 'avg_pool1d', through which they cannot be followed",
        ),
    ],
)
def test_what_mixes_channels_keeps_them(operation: Callable[[Tensor], Tensor], reason: str) -> None:
    channels = channels_of(Between(operation), torch.zeros(2, 6))
    assert channels.groups == ()
    assert channels.fixed["first"] == reason


def test_each_channel_tied_to_the_next_is_one_set() -> None:
    (group,) = channels_of(Between(lambda x: x + x.roll(1, 1)), torch.zeros(2, 6)).groups
    assert (group.step, group.n_classes) == (8, 1)


def test_what_meets_an_input_stays() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.second(x + self.first(x))))

    channels = channels_of(Skips(), torch.zeros(2, 6))
    assert channels.fixed["first"] == "its channels meet inputs, constants or padding in 'add'"
    assert [group.name for group in channels.groups] == ["second"]


def test_sets_of_unequal_size_stay() -> None:
    class Uneven(nn.Module):
        """Two of the four channels are added to a layer's two; the others each to two of another's four."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Linear(6, 4), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            a = self.a(x)
            return self.last(self.b(x) * torch.cat([a, a[:, 2:]], 1))

    channels = channels_of(Uneven(), torch.zeros(2, 6))
    assert channels.fixed["a"] == "its channels are coupled in sets of unequal size"


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x.view(-1, 2, 4).mean(1),  # spells out what is left of 8 channels
        lambda x: x[:, :4] + x[:, 4:],
        lambda x: x.unflatten(1, (4, 2)).amax(2),
    ],
)
def test_sizes_spelt_out_are_found_by_following_again(operation: Callable[[Tensor], Tensor]) -> None:
    network = trace(Between(operation, 4), torch.zeros(2, 6))
    for group in network.channels.groups:
        assert unprunable(network, {group.name: group.step}).keys() == {group.name}


def test_a_power_of_two_maps_ties_them() -> None:
    class Powers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.sigmoid(self.a(x)).pow(self.b(x)))

    assert [group.producers for group in channels_of(Powers(), torch.zeros(2, 6)).groups] == [("a", "b")]


def test_only_those_that_fail_are_unprunable() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Conv2d(3, 8, 1), *(nn.Conv2d(8, 8, 1) for _ in range(3)))
            self.last = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.d(self.c(self.b(self.a(x))))
            return self.last(x.reshape(-1, 8, 4).sum(2))

    network = trace(Two(), torch.zeros(2, 3, 2, 2))
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    assert set(unprunable(network, dict.fromkeys("abcd", 4))) == {"d"}
    assert unprunable(network, {"a": 4, "b": 1}) == {}
    after = network.module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_of_those_that_only_fail_together_the_last_is_named() -> None:
    class Together(nn.Module):
        """Divides by zero where both layers are narrow."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c, self.last = (nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 2))
            self.other, self.third = nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.a(x), self.b(x)
            return self.last(a) * (1 // ((a.shape[1] + b.shape[1]) // 12)) + self.other(b) + self.third(self.c(x))

    network = trace(Together(), torch.zeros(2, 6))
    broken = unprunable(network, {"a": 4, "b": 4, "c": 4})
    assert set(broken) == {"b"}
    assert "zero" in broken["b"]
    assert unprunable(network, {"a": 4, "c": 4}) == unprunable(network, {"b": 4, "c": 4}) == {}


def test_depthwise_convolutions_may_shrink_to_one_channel() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 2, 1))
    network = trace(model, torch.zeros(1, 3, 4, 4))
    assert unprunable(network, {"0": 1}) == {}
    pruned = copy.deepcopy(network.module)
    prune_channels(pruned, network.follower.map, {"0": 1})
    depthwise = pruned.get_submodule("1")
    assert (depthwise.in_channels, depthwise.out_channels, depthwise.groups) == (1, 2, 1)


# Removal.


def test_the_least_important_channels_go() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    with torch.no_grad():
        model[0].weight[[2, 5]] *= 1e-3
        model[2].weight[:, [2, 5]] *= 1e-3
    network = trace(model, torch.zeros(1, 3, 8, 8))
    module = copy.deepcopy(network.module)
    assert prune_channels(module, network.follower.map, {"0": 6}) == {"0": [2, 5]}
    assert module.get_submodule("0").weight.shape == (6, 3, 3, 3)
    assert module.get_submodule("2").weight.shape == (4, 6, 3, 3)
    # By importance, where it is known, and of equal ones those that come first.
    scores = {"0": torch.tensor([1.0, 1, 9, 9, 1, 9, 0, 9])}
    assert prune_channels(copy.deepcopy(network.module), network.follower.map, {"0": 5}, scores) == {"0": [0, 1, 6]}


def test_a_graph_of_ones_own_can_be_pruned() -> None:
    model = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)))
    inputs = (torch.zeros(1, 3),)
    assert len(prune_channels(model, follow_channels(model, inputs), {"0": 2})["0"]) == 6
    assert model(*inputs).shape == (1, 4)


def test_no_layer_loses_its_last_channel() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.left, self.right = nn.Linear(3, 8), nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.a(x).chunk(2, -1)
            return self.left(left) + self.right(right)

    network = trace(Halves(), torch.zeros(1, 3))
    scores = {"a": torch.arange(8.0)}
    removed = prune_channels(copy.deepcopy(network.module), network.follower.map, {"a": 3}, scores)
    assert removed == {"a": [0, 1, 2, 4, 5]}  # by importance 3 would go before 4
    with pytest.raises(SpaceError, match="the width of 'a' must be at least 2 to leave each layer one, got 1"):
        prune_channels(copy.deepcopy(network.module), network.follower.map, {"a": 1}, scores)
    assert unprunable(network, {"a": 2}) == {}
    assert set(unprunable(network, {"a": 1})) == {"a"}


@pytest.mark.parametrize("width", [0, 9])
def test_a_width_out_of_range_is_refused(width: int) -> None:
    network = trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)), torch.zeros(1, 3, 8, 8))
    module = copy.deepcopy(network.module)
    with pytest.raises(SpaceError, match=f"'0' must be between 1 and 8, got {width}"):
        prune_channels(module, network.follower.map, {"0": width})
    assert prune_channels(module, network.follower.map, {"0": 8}) == {}
    assert prune_channels(module, network.follower.map, {}) == {}


def test_a_width_off_the_step_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1, groups=4), nn.Conv2d(8, 2, 1))
    network = trace(model, torch.zeros(1, 3, 2, 2))
    with pytest.raises(SpaceError, match="'0' must be between 1 and 8 and a multiple of 4, got 6"):
        prune_channels(copy.deepcopy(network.module), network.follower.map, {"0": 6})


def test_a_layer_whose_channels_stay_is_refused() -> None:
    network = trace(nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 4)), torch.zeros(1, 3))
    with pytest.raises(SpaceError, match="the channels of '1' cannot be removed: they are coupled to some that must"):
        prune_channels(copy.deepcopy(network.module), network.follower.map, {"1": 2})


def test_a_copy_that_shares_weights_can_change_its_structure() -> None:
    network = trace(nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 4)), torch.zeros(1, 3))
    shared = share_weights(network.module)
    assert shared.get_submodule("0").weight is network.module.get_submodule("0").weight
    prune_channels(shared, network.follower.map, {"0": 2})
    assert network.module.get_submodule("0").weight.shape == (8, 3)
    assert np.array_equal(network.follower.map.made["0"], np.arange(1, 9))
