from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.precision import PrecisionPlan, TensorQuantization
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, finish, prepare, simulate, trace
from parefront.spaces.quantize import Quantize, quantize_activation, quantize_weight


def restored(values: Tensor, quantization: TensorQuantization) -> Tensor:
    """Jacob et al. 2018, equation 1: to integers and back."""
    shape = [-1] + [1] * (values.dim() - 1) if quantization.axis == 0 else [1] * values.dim()
    scale = torch.tensor(quantization.scale).reshape(shape)
    zero = torch.tensor(quantization.zero_point).reshape(shape)
    integers = ((values / scale).round() + zero).clamp(quantization.qmin, quantization.qmax)
    return scale * (integers - zero)


def squared_error(values: Tensor, quantization: TensorQuantization) -> float:
    return float((restored(values, quantization) - values).square().sum())


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


def test_one_width_is_no_choice(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    found = Quantize().find_sites(network, Capabilities(weight_bits=(32,)))
    assert found.sites == ()
    assert {item.reason for item in found.left_alone} == {"the profile executes 32 bits only"}


# Weights.


def test_weights_on_a_grid_are_kept_exactly_per_channel() -> None:
    # Channel 0 in steps of .01, channel 1 in steps of .5, both up to 127 steps.
    steps = torch.arange(-127.0, 128.0)
    weight = torch.stack([0.01 * steps, 0.5 * steps])
    found = quantize_weight(weight)
    assert (found.bits, found.axis, found.is_signed, found.zero_point) == (8, 0, True, (0, 0))
    assert found.scale == pytest.approx((0.01, 0.5))
    torch.testing.assert_close(restored(weight, found), weight)


def test_weights_are_never_worse_than_by_their_largest_value() -> None:
    weight = torch.rand(4, 20_000, generator=torch.Generator().manual_seed(0)) * 0.6 - 0.3
    # One outlier of 1 in channel 0. Clipping to s costs (1 - s)² there and leaves 20,000 (s / 127)² / 12 elsewhere:
    # least at s = 1 / (1 + .1033) = .906.
    weight[0, 0] = 1.0
    found = quantize_weight(weight)
    widest = tuple((weight.abs().amax(1) / 127).tolist())
    assert found.scale[0] * 127 == pytest.approx(0.906, abs=0.025)
    for channel in range(4):
        errors = [
            squared_error(weight[channel], TensorQuantization(8, (scale[channel],), (0,), axis=None, is_signed=True))
            for scale in (found.scale, widest)
        ]
        assert errors[0] <= errors[1] * (1 + 1e-6)
    assert found.scale[0] < widest[0]


def test_a_channel_of_zeros_has_a_usable_scale() -> None:
    found = quantize_weight(torch.zeros(2, 4))
    assert all(scale > 0 for scale in found.scale)


# Activations.


def test_a_uniform_distribution_errs_by_the_formula() -> None:
    values = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    found = quantize_activation(values, 0.0, 1.0)
    # A uniform distribution has no tail to clip, so the range is its own; rounding to steps of s costs s² / 12.
    assert found.scale == pytest.approx((1 / 255,))
    assert found.zero_point == (0,)
    assert squared_error(values, found) / len(values) == pytest.approx((1 / 255) ** 2 / 12, rel=0.02)


@pytest.mark.parametrize(
    ("low", "high", "zero_point"),
    # round(255 * -low / (high - low)) on the range widened to hold zero.
    [(0.0, 6.0, 0), (2.0, 6.0, 0), (-1.0, 3.0, 64), (-3.0, 1.0, 191), (-6.0, -2.0, 255)],
)
def test_zero_is_always_one_of_the_integers(low: float, high: float, zero_point: int) -> None:
    values = torch.linspace(low, high, 1001)
    found = quantize_activation(values, low, high)
    assert (found.bits, found.axis, found.is_signed) == (8, None, False)
    assert found.zero_point == (zero_point,)
    assert restored(torch.zeros(1), found).tolist() == [0.0]
    assert (restored(values, found) - values).abs().max() < 2 * found.scale[0]


def test_an_outlier_does_not_set_the_range() -> None:
    values = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    values[0] = 2.0
    found = quantize_activation(values, 0.0, 2.0)
    by_largest = TensorQuantization(8, (2 / 255,), (0,), axis=None, is_signed=False)
    assert squared_error(values, found) < squared_error(values, by_largest)


def test_a_tensor_of_zeros_has_a_usable_scale() -> None:
    found = quantize_activation(torch.zeros(10), 0.0, 0.0)
    assert found.scale[0] > 0
    assert found.zero_point == (0,)


# Plans.


def test_the_plan_names_inputs_outputs_and_sums(build: Callable[[str], nn.Module], images: Tensor) -> None:
    _, plan, _ = in_eight_bits(build("residual"), images)
    layers = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0"]
    expected = {f"{layer}.{role}" for layer in [*layers, "fc"] for role in ("weight", "input", "output")}
    # What the classifier gives is the model's output, which stays in float; two additions read quantized tensors.
    expected -= {"fc.output"}
    expected |= {"layer1.0.conv2.merged", "layer2.0.conv2.merged", "layer2.0.downsample.0.merged"}
    assert set(plan.tensors) == expected


def test_relu_outputs_start_at_zero(build: Callable[[str], nn.Module], images: Tensor) -> None:
    _, plan, _ = in_eight_bits(build("residual"), images)
    for name in ("conv1.output", "layer1.0.conv1.output", "layer1.0.conv2.merged", "layer2.0.conv1.input"):
        assert (plan.tensors[name].zero_point, plan.tensors[name].is_signed) == ((0,), False), name
    # A convolution before an addition has no activation of its own: its outputs have both signs.
    assert 0 < plan.tensors["layer1.0.conv2.output"].zero_point[0] < 255


def test_one_tensor_has_one_quantization(build: Callable[[str], nn.Module], images: Tensor) -> None:
    _, plan, _ = in_eight_bits(build("residual"), images)
    tensors = plan.tensors
    assert tensors["conv1.output"] == tensors["layer1.0.conv1.input"]
    assert tensors["layer1.0.conv2.merged"] == tensors["layer2.0.conv1.input"] == tensors["layer2.0.downsample.0.input"]


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
            "0.input": TensorQuantization(8, (0.1,), (5,), None, False),
            "0.output": TensorQuantization(8, (0.2,), (0,), None, False),
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
    assert {name.rpartition(".")[0] for name in plan.tensors} == {"layer1.0.conv1"}


def test_ranges_look_at_every_part_of_a_large_map() -> None:
    # 131,072 values, twice what the search for the range samples: the even columns are small, the odd ones uniform
    # up to 1. Steps of two would see the small ones only and clip the range to less than half.
    inputs = torch.rand(2, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    inputs[..., ::2] *= 0.01
    _, plan, _ = in_eight_bits(nn.Sequential(nn.Conv2d(1, 1, 1)), inputs)
    assert plan.tensors["0.input"].scale[0] > 0.9 / 255
