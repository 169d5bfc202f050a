"""Which layers stand in a segment that can be merged, and why not where they do not."""

import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Network, trace
from parefront.spaces.chain import Segment, drives_a_gate, is_foldable_norm, linear_segments, segments_from
from parefront.spaces.fold import Fold
from parefront.spaces.linearise import LinearisedActivation


def conv(inner: int, outer: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, padding)


def reasons(network: Network) -> list[str]:
    return [item.reason for item in Fold().find_sites(network, Capabilities()).left_alone]


def sequence(*layers: nn.Module) -> Network:
    channels = next(layer.in_channels for layer in layers if isinstance(layer, nn.Conv2d))
    return trace(nn.Sequential(*layers), torch.zeros(2, channels, 9, 9))


def node_of(module: fx.GraphModule, name: str) -> fx.Node:
    return next(node for node in module.graph.nodes if node.target == name)


def names(segments: list[Segment]) -> list[tuple[str, ...]]:
    return [tuple(str(node.target) for node in segment.layers) for segment in segments]


def test_segments_grow_activation_by_activation() -> None:
    layers = [conv(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4, 1), conv(4, 4, 1), nn.ReLU(), conv(4, 4, 1)]
    module = sequence(*layers).module
    # Behind the first activation stands 3; 4 follows without one, so it only comes with what is behind the second.
    assert names(list(segments_from(module, node_of(module, "0")))) == [("0", "3"), ("0", "3", "4", "6")]
    assert names(list(segments_from(module, node_of(module, "4")))) == [("4", "6")]
    assert list(segments_from(module, node_of(module, "6"))) == []
    (_, longest) = segments_from(module, node_of(module, "0"))
    assert [str(node.target) for node in longest.activations] == ["2", "5"]
    assert [str(link.norm and link.norm.target) for link in longest.links] == ["1", "None", "None"]


def test_dropout_is_seen_through() -> None:
    network = sequence(conv(4, 4, 1), nn.ReLU(), nn.Dropout2d(), conv(4, 4, 1), nn.Dropout(), nn.ReLU(), conv(4, 4, 1))
    segments = list(segments_from(network.module, node_of(network.module, "0")))
    assert names(segments) == [("0", "3"), ("0", "3", "6")]
    assert reasons(network) == []


def test_linear_segments_are_those_that_are_linearised_all_the_way() -> None:
    layers = [conv(4, 4, 1), nn.ReLU(), conv(4, 4, 1), nn.ReLU(), conv(4, 4, 1), nn.ReLU(), conv(4, 4, 1)]
    module = sequence(*layers).module
    for name in ("1", "5"):
        module.add_submodule(name, LinearisedActivation(nn.ReLU()))
    assert names(linear_segments(module)) == [("0", "2"), ("4", "6")]
    module.add_submodule("3", LinearisedActivation(nn.ReLU()))
    assert names(linear_segments(module)) == [("0", "2", "4", "6")]


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((conv(4, 6, 5), nn.ReLU(), conv(6, 5, 3)), "the merged kernel would be 7 wide, more than 5"),
        ((conv(4, 6, 3, 2), nn.ReLU(), conv(6, 5, 3)), "the merged kernel would be 7 wide, more than 5"),
        (
            (nn.Conv2d(4, 6, 3, dilation=2), nn.ReLU(), conv(6, 5, 3)),
            "the merged kernel would be 7 wide, more than 5",
        ),
        # 6 * 6 * 9 = 324 weights for 6 * 9 + 6 * 6 = 90.
        (
            (nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU(), conv(6, 6, 1)),
            "the merged layer would cost 3.6 times its parts, more than 2",
        ),
        ((nn.Conv2d(4, 6, 3, padding="same"), nn.ReLU(), conv(6, 5, 1)), "the padding around it is not given in"),
        ((nn.Conv2d(4, 6, 3, padding_mode="reflect"), nn.ReLU(), conv(6, 5, 3)), "padding other than zeros around"),
        ((conv(4, 6, 1, 1, 2), nn.ReLU(), conv(6, 5, 1)), "the padding around it is wider than the merged kernel"),
        ((conv(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2)), "it does not stand between"),
        ((conv(4, 6, 3), nn.MaxPool2d(2), nn.ReLU(), conv(6, 5, 1)), "it does not stand between"),
        ((conv(4, 6, 3), nn.InstanceNorm2d(6), nn.ReLU(), conv(6, 5, 1)), "it does not stand between"),
        ((conv(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(294, 5)), "it does not stand between"),
        ((conv(4, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 5, 3)), "it does not stand between"),
        (
            (conv(4, 6, 3), nn.MaxPool2d(2), nn.ConvTranspose2d(6, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 5, 3)),
            "transposed convolutions around it are not merged",
        ),
    ],
)
def test_what_cannot_be_merged_is_left_alone(layers: tuple[nn.Module, ...], reason: str) -> None:
    network = sequence(*layers)
    assert Fold().find_sites(network, Capabilities()).sites == ()
    assert len(reasons(network)) == 1
    assert reasons(network)[0].startswith(reason)


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
    assert Fold().find_sites(network, Capabilities()).sites == ()
    end = "output" if where == "behind the activation" else "input"
    assert reasons(network) == [f"its {end} is read in several places"]


def test_a_layer_that_is_called_twice_is_not_merged() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = conv(4, 4, 1), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.relu(self.conv(x)))

    assert reasons(trace(Twice(), torch.zeros(1, 4, 9, 9))) == ["a layer beside it is called in several places"]


def test_tied_layers_are_not_merged() -> None:
    first, second = conv(4, 4, 1), conv(4, 4, 1)
    second.weight = first.weight
    assert reasons(sequence(first, nn.ReLU(), second)) == ["a layer beside it shares its weights with another"]


class SqueezeExcite(nn.Module):
    """conv → ReLU → [× gate(pooled)] → conv; each of its activations is one of a kind."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.first, self.act = conv(4, 16, 3, 1, 1), nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze, self.squeeze_act, self.excite, self.gate = conv(16, 8, 1), nn.ReLU(), conv(8, 16, 1), gate
        self.last = conv(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        scale = self.gate(self.excite(self.squeeze_act(self.squeeze(self.pool(x)))))
        return self.last(scale * x)


@pytest.mark.parametrize("gate", [nn.Sigmoid(), nn.Hardsigmoid()], ids=lambda gate: type(gate).__name__)
def test_squeeze_and_excitation_is_left_alone_with_its_reasons(gate: nn.Module) -> None:
    network = trace(SqueezeExcite(gate), torch.zeros(1, 4, 9, 9))
    assert Fold().find_sites(network, Capabilities()).sites == ()
    assert reasons(network) == [
        "its output is read in several places",
        "it belongs to a squeeze-excite block, whose output scales channels",
        "it does not stand between two convolutions or two linear layers",
    ]
    assert drives_a_gate(network.module, node_of(network.module, "excite"))
    assert not drives_a_gate(network.module, node_of(network.module, "squeeze"))


def test_a_norm_over_another_dimension_is_none_of_the_layer() -> None:
    # BatchNorm1d on (n, 6, 6) normalises the second dimension, the linear layer makes the third.
    layers = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6))
    assert reasons(trace(layers, torch.zeros(2, 6, 6)))[0].startswith("it does not stand between")
    assert reasons(trace(layers, torch.zeros(2, 6))) == []


def test_a_norm_without_running_statistics_is_not_folded() -> None:
    assert is_foldable_norm(nn.BatchNorm3d(4))
    assert not is_foldable_norm(nn.BatchNorm2d(4, track_running_stats=False))
    assert not is_foldable_norm(nn.GroupNorm(2, 4))
