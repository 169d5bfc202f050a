import pytest
import torch
from torch import Tensor

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.precision import TensorQuantization
from parefront.spaces.ranges import least_error_scales, method_names, quantize_activation, quantize_weight


def restored(values: Tensor, quantization: TensorQuantization) -> Tensor:
    """Jacob et al. 2018, equation 1: to integers and back."""
    shape = [-1] + [1] * (values.dim() - 1) if quantization.axis == 0 else [1] * values.dim()
    scale = torch.tensor(quantization.scale).reshape(shape)
    zero = torch.tensor(quantization.zero_point).reshape(shape)
    integers = ((values / scale).round() + zero).clamp(quantization.qmin, quantization.qmax)
    return scale * (integers - zero)


def squared_error(values: Tensor, quantization: TensorQuantization) -> float:
    return float((restored(values, quantization) - values).square().sum())


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
    found = quantize_activation(values, 0.0, 2.0, "mse")
    by_largest = TensorQuantization(8, (2 / 255,), (0,), axis=None, is_signed=False)
    assert squared_error(values, found) < squared_error(values, by_largest)


def test_a_tensor_of_zeros_has_a_usable_scale() -> None:
    found = quantize_activation(torch.zeros(10), 0.0, 0.0)
    assert found.scale[0] > 0
    assert found.zero_point == (0,)


# Methods.


def test_the_methods_are_known_by_name() -> None:
    assert method_names() == ("minmax", "mse", "percentile")
    with pytest.raises(SpaceError, match="unknown calibration method 'mean': known calibration methods are m"):
        quantize_activation(torch.ones(1), 0.0, 1.0, "mean")


def test_minmax_takes_the_observed_range() -> None:
    found = quantize_activation(torch.zeros(10), -1.0, 4.0, "minmax")
    assert found.scale == pytest.approx((5 / 255,))
    assert found.zero_point == (51,)  # round(255 / 5)


def test_percentile_leaves_out_the_outermost_values() -> None:
    # 100,001 values from -1 to 3 in equal steps, and one at 1,000: .005 % of them lie beyond either end.
    values = torch.cat([torch.linspace(-1.0, 3.0, 100_001), torch.tensor([1_000.0])])
    found = quantize_activation(values, -1.0, 1_000.0, "percentile")
    low, high = -1.0 + 4.0 * 5e-5, 3.0 - 4.0 * 5e-5
    assert found.scale == pytest.approx(((high - low) / 255,), rel=1e-4)


def test_a_range_beside_zero_is_widened_to_it() -> None:
    assert quantize_activation(torch.full((10,), 2.0), 2.0, 2.0, "percentile").scale == pytest.approx((2 / 255,))
    assert quantize_activation(torch.full((10,), 2.0), 2.0, 2.0, "minmax").zero_point == (0,)


def test_scales_of_many_rows_are_those_of_each() -> None:
    rows = torch.randn(300, 1_000, generator=torch.Generator().manual_seed(0))
    together = least_error_scales(rows, highest=7, lowest=-8)
    alone = torch.cat([least_error_scales(row[None], highest=7, lowest=-8) for row in rows[::100]])
    torch.testing.assert_close(together[::100], alone)
