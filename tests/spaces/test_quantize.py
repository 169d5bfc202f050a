from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.precision import PrecisionPlan, TensorQuantization
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, find_space, finish, prepare, simulate, trace
from parefront.spaces.quantize import Quantize, bits_per_weight, input_layers, quantize, quantize_blocks, round_weight


def in_eight_bits(model: nn.Module, calibration: Tensor) -> tuple[nn.Module, PrecisionPlan, nn.Module]:
    """The finished float network, the plan of all layers in 8 bits, and its simulation."""
    network = trace(model, calibration[:2])
    configuration = Configuration.of({f"bits/{layer.name}": 8 for layer in network.layers})
    finished = finish(prepare(network, configuration), configuration, calibration)
    return finished.module, finished.plan, simulate(finished.module, finished.plan)


# Sites.


def test_every_layer_may_be_in_any_width_that_executes(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    found = Quantize().find_sites(network, Capabilities(weight_bits=(32, 8)))
    assert [site.name for site in found.sites] == [f"bits/{layer.name}" for layer in network.layers]
    assert {site.choices for site in found.sites} == {(32, 8)}


def test_linear_layers_between_others_may_be_weight_only(images: Tensor) -> None:
    widths = [48, 64, 96, 32, 64, 10]
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    network = trace(
        nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())), nn.Flatten()), torch.zeros(2, 48)
    )
    found = Quantize().find_sites(network, Capabilities(weight_only_bits=(4, 8)))
    # First and last in 32 and 8 bits only; with fewer than 64 inputs likewise.
    choices = [(32, 8), (32, "w8", 8, "w4"), (32, "w8", 8, "w4"), (32, 8), (32, 8)]
    assert [site.choices for site in found.sites] == choices
    alone = Quantize().find_sites(network, Capabilities(weight_bits=(32,), weight_only_bits=(4,)))
    assert [site.choices for site in alone.sites] == [(32, "w4"), (32, "w4")]
    assert {item.reason for item in alone.left_alone} == {"the profile executes 32 bits only"}


def test_halves_stand_between_full_and_few_bits() -> None:
    layers = [nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    network = trace(nn.Sequential(*layers), torch.zeros(2, 48))
    found = Quantize().find_sites(network, Capabilities(weight_bits=(32, "bf16", "fp16", 8), weight_only_bits=(8, 4)))
    # First and last layers too, though not weight-only.
    ends, middle = (32, "bf16", "fp16", 8), (32, "bf16", "fp16", "w8", 8, "w4")
    assert [site.choices for site in found.sites] == [ends, middle, ends]


def test_what_is_not_executed_in_int8_may_be_in_half(images: Tensor) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"))
    found = Quantize().find_sites(trace(model, images[:2]), Capabilities(weight_bits=(32, "bf16", 8)))
    assert [site.choices for site in found.sites] == [(32, "bf16"), (32, "bf16")]
    assert found.left_alone == ()


def test_layers_that_no_runtime_executes_in_int8_are_left_alone(images: Tensor) -> None:
    model = nn.Sequential(
        nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 1)
    )
    found = Quantize().find_sites(trace(model, images[:2]), Capabilities())
    assert [site.layer for site in found.sites] == ["2"]
    assert {item.name: item.reason for item in found.left_alone} == {
        "0": "runtimes execute no transposed convolution in int8",
        "1": "runtimes execute int8 convolutions with zero padding only",
    }


def test_the_first_layers_are_those_that_read_an_input() -> None:
    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.both = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            total = self.left(x).expand(y.shape[0], -1) + self.right(torch.relu(y))
            return self.both(total)

    assert input_layers(trace(TwoInputs(), (torch.zeros(2, 4), torch.zeros(2, 4)))) == {"left", "right"}


def test_one_width_is_no_choice(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    found = Quantize().find_sites(network, Capabilities(weight_bits=(32,)))
    assert found.sites == ()
    assert {item.reason for item in found.left_alone} == {"the profile executes 32 bits only"}


# Plans.


def test_the_plan_names_inputs_outputs_and_sums(build: Callable[[str], nn.Module], images: Tensor) -> None:
    _, plan, _ = in_eight_bits(build("residual"), images)
    layers = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0"]
    expected = {f"{layer}.weight" for layer in [*layers, "fc"]}
    # The input; each convolution behind its ReLU, or without one where an addition follows; the two sums behind theirs;
    # the pooled map before and after it is flattened. What the classifier gives is the output, which stays in float.
    values = {"x", "relu", "layer1_0_relu1", "layer1_0_conv2", "layer1_0_relu2"}
    values |= {"layer2_0_relu1", "layer2_0_conv2", "layer2_0_downsample_0", "layer2_0_relu2", "pool", "flatten"}
    assert set(plan.tensors) == expected | {f"{value}.value" for value in values}


def test_relu_outputs_start_at_zero(build: Callable[[str], nn.Module], images: Tensor) -> None:
    _, plan, _ = in_eight_bits(build("residual"), images)
    for name in ("relu.value", "layer1_0_relu1.value", "layer1_0_relu2.value"):
        assert (plan.tensors[name].zero_point, plan.tensors[name].is_signed) == ((0,), False), name
    # A convolution before an addition has no activation of its own: its outputs have both signs.
    assert 0 < plan.tensors["layer1_0_conv2.value"].zero_point[0] < 255


def test_values_that_are_only_moved_keep_their_quantization(build: Callable[[str], nn.Module], images: Tensor) -> None:
    _, plan, _ = in_eight_bits(build("residual"), images)
    assert plan.tensors["pool.value"] == plan.tensors["flatten.value"]


@pytest.mark.parametrize("kind", ["residual", "plain", "functional", "shared-activation"])
def test_eight_bits_stay_close_to_float(kind: str, build: Callable[[str], nn.Module], images: Tensor) -> None:
    module, _, simulated = in_eight_bits(build(kind), images)
    with torch.no_grad():
        expected, values = module(images), simulated(images)
    error = (values - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert 1e-5 < error < 0.05  # it rounds, and loses little


def test_simulation_by_hand() -> None:
    model = trace(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)), torch.zeros(1, 1)).module
    with torch.no_grad():
        for name, value in (("0.weight", 1.3), ("0.bias", 0.04), ("2.weight", 10.0), ("2.bias", 0.0)):
            model.get_parameter(name).fill_(value)
    plan = PrecisionPlan(
        {
            "0.weight": TensorQuantization(8, (0.5,), (0,), 0, True),
            "input_1.value": TensorQuantization(8, (0.1,), (5,), None, False),
            "_1.value": TensorQuantization(8, (0.2,), (0,), None, False),
        }
    )
    simulated = simulate(model, plan)
    # Weight 1.3 -> 1.5; input .26 -> .3; .3 x 1.5 + .04 = .49, rounded behind the ReLU to .4; times 10.
    # Input -2 is clipped to -.5 (integer 0): the ReLU gives 0. Input 99 is clipped to 25: 37.54 -> 37.6.
    values = simulated(torch.tensor([[0.26], [-2.0], [99.0]]))
    torch.testing.assert_close(values, torch.tensor([[4.0], [0.0], [376.0]]), rtol=1e-5, atol=1e-5)
    assert model.get_parameter("0.weight").item() == pytest.approx(1.3)


def test_a_layer_in_float_is_not_in_the_plan(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    configuration = Configuration.of({"bits/layer1.0.conv1": 8})
    plan = finish(prepare(network, configuration), configuration, images).plan
    assert plan.layers == ("layer1.0.conv1",)
    assert set(plan.tensors) == {"layer1.0.conv1.weight", "relu.value", "layer1_0_relu1.value"}


def test_ranges_look_at_every_part_of_a_large_map() -> None:
    # 131,072 values, twice what the search for the range samples: the even columns are small, the odd ones uniform
    # up to 1. Steps of two would see the small ones only and clip the range to less than half.
    inputs = torch.rand(2, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    inputs[..., ::2] *= 0.01
    _, plan, _ = in_eight_bits(nn.Sequential(nn.Conv2d(1, 1, 1)), inputs)
    assert plan.tensors["input_1.value"].scale[0] > 0.9 / 255


# Weight-only.


def test_blocks_have_scales_of_their_own() -> None:
    # Two blocks of 32 in each of two channels; in steps of .5, 1, 2, 4 times -8 .. 7, so the grid is met exactly.
    integers = torch.arange(-8.0, 8.0).repeat(4)
    weight = torch.cat([integers[:32] * 0.5, integers[:32], integers[:32] * 2, integers[:32] * 4]).reshape(2, 64)
    found = quantize_blocks(weight, 4)
    assert (found.bits, found.axis, found.is_signed, found.block_size) == (4, 0, True, 32)
    # The widest tried puts the largest magnitude, 8 steps, on 7; clipping the range to 7 / 8 of it meets the grid.
    assert found.scale == pytest.approx((0.5, 1.0, 2.0, 4.0), rel=0.03)
    assert (round_weight(weight, "w4") - weight).abs().max() <= 0.03 * 32


def test_bits_per_weight_count_the_scales_of_blocks() -> None:
    assert [bits_per_weight(choice) for choice in (32, "bf16", "fp16", 8, "w8", "w4")] == [32, 16, 16, 8, 9, 5]


def test_weight_only_layers_stay_close_to_float() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 4))
    x = torch.randn(64, 16)
    module = trace(model, x[:2]).module
    expected = module(x).detach()
    plan = quantize(module, {"2": "w8"}, x)
    assert (plan.layers, plan.weight_only_layers, plan.values) == ((), ("2",), ())
    error = (simulate(module, plan)(x) - expected).square().mean().sqrt() / expected.std()
    assert 0 < error < 0.01


# Half precision.


def test_weights_in_half_by_hand() -> None:
    # Eight and eleven significant bits; ties go to the even one.
    weight = torch.tensor([1 + 2.0**-7, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-10, 1 + 2.0**-11])
    assert round_weight(weight, "bf16").tolist() == [1 + 2.0**-7, 1.0, 1 + 2.0**-6, 1.0, 1.0]
    assert round_weight(weight, "fp16").tolist() == [1 + 2.0**-7, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-10, 1.0]


def test_halves_need_no_calibration(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    configuration = Configuration.of({f"bits/{layer.name}": "bf16" for layer in network.layers})
    finished = finish(prepare(network, configuration), configuration, images[:0])
    assert finished.plan == PrecisionPlan(halves={layer.name: "bf16" for layer in network.layers})


@pytest.mark.parametrize(("half", "significant"), [("bf16", 8), ("fp16", 11)])
@pytest.mark.parametrize("kind", ["residual", "plain", "functional", "shared-activation"])
def test_half_precision_stays_close_to_float(
    half: str, significant: int, kind: str, build: Callable[[str], nn.Module], images: Tensor
) -> None:
    network = trace(build(kind), images[:2])
    configuration = Configuration.of({f"bits/{layer.name}": half for layer in network.layers})
    finished = finish(prepare(network, configuration), configuration, images)
    with torch.no_grad():
        expected, values = finished.module(images), simulate(finished.module, finished.plan)(images)
    error = (values - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    # One rounding is at most half a unit in the last place; of some twenty, few add up.
    assert 0 < error < 4 * 2.0**-significant


def test_factors_and_merged_layers_take_the_type_of_their_layer(
    build: Callable[[str], nn.Module], images: Tensor
) -> None:
    network = trace(build("plain"), images[:2])
    capabilities = Capabilities(weight_bits=(32, "bf16", "fp16", 8))
    space = find_space(network, capabilities)
    folds = [site for site in space.sites if site.technique == "fold"]
    ranks = [site for site in space.sites if site.technique == "rank" and site.layer not in folds[0].layers]
    choices = {
        folds[0].name: folds[0].choices[-1],
        ranks[0].name: ranks[0].choices[-1],
        f"bits/{folds[0].layer}": "fp16",
        f"bits/{folds[0].layers[1]}": "bf16",
        f"bits/{ranks[0].layer}": "bf16",
    }
    configuration = space.canonical(choices)
    assert f"bits/{folds[0].layers[1]}" not in configuration
    halves = finish(prepare(network, configuration), configuration, images).plan.halves
    factors = {name for name in halves if name.startswith(f"{ranks[0].layer}.")}
    assert len(factors) >= 2
    assert halves == {folds[0].layer: "fp16", **dict.fromkeys(factors, "bf16")}
