from collections.abc import Callable

import torch
from torch import Tensor, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, find_space, finish, prepare, trace
from parefront.spaces.fold import merge_linear_segments
from parefront.spaces.linearise import set_linearity
from parefront.spaces.rounding_points import rounding_points


def test_values_are_those_of_the_plan(tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor) -> None:
    network = trace(tiny_residual_network(), tiny_images[:2])
    configuration = Configuration.of({f"bits/{layer.name}": 8 for layer in network.layers})
    module = prepare(network, configuration)
    points = rounding_points(module, configuration)
    plan = finish(module, configuration, tiny_images).plan
    assert sorted(points.layers) == list(plan.layers)
    assert {name.removesuffix(".value") for name in points.values} <= set(plan.values)
    # What is only moved has the quantisation of what it was moved from.
    moved = set(plan.values) - {name.removesuffix(".value") for name in points.values}
    assert moved == {"flatten"}
    # A BatchNorm gives what the layer with it folded in will give.
    assert points.values["layer1_0_conv2.value"] == "layer1_0_bn2"
    assert points.values["layer1_0_relu1.value"] == "layer1_0_relu1"
    assert points.values["x.value"] == "x"


def test_only_eight_bits_count(tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor) -> None:
    network = trace(tiny_residual_network(), tiny_images[:2])
    configuration = Configuration.of({"bits/fc": "w8", "bits/conv1": "bf16"})
    points = rounding_points(prepare(network, configuration), configuration)
    assert points.layers == ()
    assert points.values == {}


def test_a_layer_that_will_take_in_a_shortcut_stays_in_float(
    tiny_residual_network: Callable[..., nn.Module], tiny_images: Tensor
) -> None:
    network = trace(tiny_residual_network(), tiny_images[:2])
    space = find_space(network, Capabilities())
    bits = {site.name: 8 for site in space.sites if site.technique == "bits"}
    configuration = space.canonical({**bits, "fold/layer1.0.conv1": "on"})
    module = prepare(network, configuration)
    set_linearity(module, 1.0)
    assert merge_linear_segments(module)
    points = rounding_points(module, configuration)
    plan = finish(module, configuration, tiny_images).plan
    assert set(plan.layers) - set(points.layers) == {"layer1.0.conv1"}
    assert set(points.values.values()) <= {node.name for node in module.graph.nodes}
    assert torch.is_tensor(module(tiny_images))  # untouched
