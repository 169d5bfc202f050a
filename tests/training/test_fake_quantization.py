import pytest
import torch
from torch import Tensor, nn

from parefront.spaces.merge import folded_parameters
from parefront.spaces.quantize import round_weight
from parefront.spaces.quantized_weight import per_channel
from parefront.training.fake_quantization import LEAST_SHARE, ValueRounding, WeightRounding


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))


# Weights.


def test_eight_bits_are_those_of_the_plan(weight: Tensor) -> None:
    for learns in (False, True):
        rounded = WeightRounding(weight, 8, learns_range=learns)(weight)
        assert torch.allclose(rounded, round_weight(weight, 8), atol=1e-6)


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_what_is_stored_decodes_to_what_was_computed(weight: Tensor, bits: int, learns: bool) -> None:
    rounding = WeightRounding(weight, bits, learns_range=learns)
    rounded = rounding(weight)
    assert torch.equal(rounding.quantized(weight).decode(), rounded.detach())
    n_levels = max(len(channel.unique()) for channel in rounded.detach())
    assert n_levels <= 2**bits
    assert rounding.quantized(weight).bits == bits


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_rounding_commutes_with_folding_a_norm(weight: Tensor, bits: int) -> None:
    layer, norm = nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6).eval()
    generator = torch.Generator().manual_seed(1)
    norm.running_var.uniform_(0.5, 2.0, generator=generator)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0, generator=generator)
        layer.weight.copy_(weight)
        folded_first = folded_parameters(layer, norm)[0].float()
        rounding = WeightRounding(folded_first, bits, learns_range=False)
        expected = rounding(folded_first)
        rounding = WeightRounding(weight, bits, learns_range=False)
        layer.weight.copy_(rounding(weight))
        rounded_first = folded_parameters(layer, norm)[0].float()
    assert torch.allclose(rounded_first, expected, atol=1e-5)


def test_a_channel_that_a_norm_turns_round_is_kept_by_its_scale(weight: Tensor) -> None:
    stored = WeightRounding(weight, 2, learns_range=False).quantized(weight)
    factor = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0, -6.0])
    assert torch.equal(stored.scaled(factor).decode(), stored.codes * per_channel(stored.scale * factor, weight))


def test_learned_steps_stay_positive(weight: Tensor) -> None:
    rounding = WeightRounding(weight, 4, learns_range=True)
    assert rounding.step is not None
    first = rounding.step.detach().clone()
    rounding.step.data.neg_()
    rounding.keep_in_bounds()
    assert torch.equal(rounding.step.detach(), first * LEAST_SHARE)


def test_only_learned_steps_below_eight_bits_are_parameters(weight: Tensor) -> None:
    counts = {
        (bits, learns): len(list(WeightRounding(weight, bits, learns_range=learns).parameters()))
        for bits in (8, 4, 1)
        for learns in (False, True)
    }
    assert counts == {(8, False): 0, (8, True): 0, (4, False): 0, (4, True): 1, (1, False): 0, (1, True): 0}


# Values.


def test_the_first_batch_sets_a_calibrated_range() -> None:
    rounding = ValueRounding(2, learns_range=False)
    # Ends -1 and 2 in three steps of 1, which lose nothing: zero point 1.
    assert rounding(torch.tensor([[-1.0, 2.0, 1.0, 0.0]])).tolist() == [[-1.0, 2.0, 1.0, 0.0]]
    assert rounding.eval()(torch.tensor([[-5.0, 2.4, 0.6, 0.4]])).tolist() == [[-1.0, 2.0, 1.0, 0.0]]
    found = rounding.quantization()
    assert found is not None
    assert (found.bits, found.scale, found.zero_point, found.is_signed) == (2, (1.0,), (1,), False)


def test_zero_is_always_a_value() -> None:
    rounding = ValueRounding(8, learns_range=False)
    rounding(torch.tensor([[2.0, 5.1]]))
    found = rounding.quantization()
    assert found is not None
    assert found.zero_point == (0,)
    assert found.scale[0] == pytest.approx(5.1 / 255)


def test_a_calibrated_range_of_few_bits_keeps_its_clipped_share() -> None:
    rounding = ValueRounding(2, learns_range=False)
    values = torch.full((1, 1000), 1.0)
    values[0, 0] = 30.0
    rounding(values)  # see below: a tenth of the range
    assert rounding.step.item() == pytest.approx(1.0, rel=1e-5)
    rounding(torch.full((1, 4), 60.0))
    assert rounding.step.item() == pytest.approx((0.9 * 30 + 0.1 * 60) / 3 / 10, rel=1e-5)


def test_a_calibrated_range_follows_the_batches() -> None:
    rounding = ValueRounding(8, learns_range=False)
    rounding(torch.tensor([[0.0, 1.0]]))
    rounding(torch.tensor([[0.0, 2.0]]))
    assert rounding.step.item() == pytest.approx((0.9 * 1 + 0.1 * 2) / 255)
    rounding.eval()(torch.tensor([[0.0, 9.0]]))
    assert rounding.step.item() == pytest.approx(1.1 / 255)


def test_before_the_first_batch_nothing_is_rounded() -> None:
    x = torch.tensor([[0.123]])
    rounding = ValueRounding(1, learns_range=True).eval()
    assert torch.equal(rounding(x), x)
    assert rounding.quantization() is None


def test_a_learned_range_begins_where_the_error_is_least_and_then_has_a_gradient() -> None:
    rounding = ValueRounding(2, learns_range=True)
    values = torch.full((1, 1000), 1.0)
    values[0, 0] = 30.0
    # One step of 1, which clips the outlier from 30 to 3, is beyond the shares; the least tried is a tenth of 10.
    rounding(values).sum().backward()
    assert rounding.step.item() == pytest.approx(1.0, rel=1e-5)
    assert rounding.step.grad is not None


def test_a_learned_step_stays_positive_and_within_what_values_may_be() -> None:
    rounding = ValueRounding(8, learns_range=True, highest_value=6.0)
    rounding(torch.linspace(0, 6, 100)[None])
    rounding.step.data.fill_(1.0)
    rounding.keep_in_bounds()
    assert rounding.step.item() == pytest.approx(6 / 255)
    rounding.step.data.fill_(-1.0)
    rounding.keep_in_bounds()
    assert rounding.step.item() > 0


def test_one_bit_of_values_that_are_never_negative() -> None:
    rounding = ValueRounding(1, learns_range=False)
    assert rounding(torch.tensor([[0.0, 2.0, 2.0, 0.0]])).tolist() == [[0.0, 2.0, 2.0, 0.0]]
    assert rounding.eval()(torch.tensor([[0.8, 1.2, 9.0]])).tolist() == [[0.0, 2.0, 2.0]]


def test_one_bit_of_values_that_may_be_negative_is_their_sign() -> None:
    rounding = ValueRounding(1, learns_range=True)
    assert rounding(torch.tensor([[-1.0, 3.0, 0.5, 1.5]])).tolist() == [[-1.5, 1.5, 1.5, 1.5]]
    assert rounding.quantization() is None


def test_the_type_of_values_is_kept() -> None:
    assert ValueRounding(4, learns_range=True)(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
