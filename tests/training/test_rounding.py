import itertools

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError, TrainingError
from parefront.training import rounding
from parefront.training.rounding import (
    annealed_beta,
    rectified_sigmoid,
    regulariser,
    round_layers,
    round_matrix,
    rounding_methods,
    set_weights,
)
from parefront.training.second_order import layer_hessians, output_error


def hessian_of(n_inputs: int, seed: int = 0) -> Tensor:
    """Of 60 positive, correlated inputs, as a ReLU gives them."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(60, n_inputs, generator=generator) @ torch.randn(n_inputs, n_inputs, generator=generator)
    rows = (rows + 0.5).clamp_min(0).double()
    return 2 * rows.T @ rows


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def errors(weight: Tensor, hessian: Tensor, bits: int, method: str) -> Tensor:
    restored = round_matrix(weight, hessian, bits, method).decode()
    return output_error(restored.double() - weight.double(), hessian)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer than a network would get: these matrices are tiny."""
    monkeypatch.setattr(rounding, "N_STEPS", 200)


@pytest.mark.parametrize(("method", "bits"), [("adaround", 2), ("adaround", 4), ("greedy", 2), ("greedy", 4)])
def test_no_output_has_a_larger_error_than_under_nearest_rounding(method: str, bits: int) -> None:
    weight, hessian = draw(16, 24), hessian_of(24)
    nearest = errors(weight, hessian, bits, "nearest")
    found = errors(weight, hessian, bits, method)
    assert bool((found <= nearest + 1e-9).all())
    assert float(found.sum()) < 0.6 * float(nearest.sum())


@pytest.mark.parametrize("seed", range(3))
def test_a_tiny_layer_is_rounded_as_brute_force_does(seed: int) -> None:
    weight, hessian = draw(2, 4, seed=seed), hessian_of(4, seed)
    found = round_matrix(weight, hessian, 4, "adaround")
    scale = found.scale[:, None]
    down = (weight / scale).floor()
    for row in range(2):
        best = min(
            float(output_error(((down[row] + up).clamp(-8, 7) * scale[row] - weight[row])[None], hessian))
            for up in (torch.tensor(each) for each in itertools.product((0.0, 1.0), repeat=4))
        )
        error = output_error((found.decode() - weight)[row : row + 1], hessian)
        # Not above the best of all 16; below it where leaving the two neighbours pays.
        assert float(error) <= best * (1 + 1e-5)


def test_the_outputs_decide_and_not_the_weights() -> None:
    # Two equal inputs: only the sum of the two weights counts. On a grid of 1 nearest rounding makes .4 + .4 zero, and
    # the best is one of the two rounded up. (A third weight on an input of its own sets the scale.)
    weight = torch.tensor([[0.4, 0.4, 7.0]])
    rows = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    hessian = 2 * rows.T @ rows
    nearest = round_matrix(weight, hessian, 4, "nearest")
    assert nearest.codes.tolist() == [[0, 0, 7]]
    assert nearest.scale.tolist() == [pytest.approx(1.0)]
    for method in ("adaround", "greedy"):
        assert sorted(round_matrix(weight, hessian, 4, method).codes[0].tolist()) == [0, 1, 7]


@pytest.mark.parametrize("method", rounding_methods())
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_lie_in_their_range(method: str, bits: int) -> None:
    rounded = round_matrix(draw(3, 8), hessian_of(8), bits, method)
    assert rounded.codes.dtype == torch.int8
    assert int(rounded.codes.min()) >= -(2 ** (bits - 1))
    assert int(rounded.codes.max()) <= 2 ** (bits - 1) - 1
    assert rounded.scale.shape == (3,)
    assert rounded.bits == bits


def test_layers_are_rounded_per_channel_in_the_shape_of_their_weight() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Flatten(), nn.Linear(6, 5)).eval()
    calibration = torch.randn(40, 4, 3, 3)
    before = module[0].weight.detach().clone()
    hessians = layer_hessians(module, calibration)
    rounded = round_layers(module, hessians, {"0": 2, "2": 4}, "greedy")
    assert rounded["0"].codes.shape == (6, 2, 3, 3)
    assert [each.bits for each in rounded.values()] == [2, 4]
    assert torch.equal(module[0].weight.detach(), before)
    set_weights(module, rounded)
    steps = module[0].weight.detach() / rounded["0"].scale[:, None, None, None]
    torch.testing.assert_close(steps, rounded["0"].codes.float())


def test_the_sigmoid_reaches_both_ends() -> None:
    # 1.2 σ(v) - .1 at v = -10, 0, 10; σ(0) = 1/2.
    assert rectified_sigmoid(torch.tensor([-10.0, 0.0, 10.0])).tolist() == [0.0, 0.5, 1.0]


def test_the_regulariser_pushes_to_either_side() -> None:
    assert regulariser(torch.tensor([0.0, 0.25, 0.5, 1.0]), 2.0).tolist() == [0.0, 0.75, 1.0, 0.0]


def test_its_exponent_falls_along_a_cosine_after_a_free_start() -> None:
    assert annealed_beta(0.1) is None
    assert annealed_beta(0.2) == pytest.approx(20.0)
    assert annealed_beta(0.6) == pytest.approx(11.0)
    assert annealed_beta(1.0) == pytest.approx(2.0)


def test_the_same_input_gives_the_same_codes() -> None:
    weight, hessian = draw(4, 8), hessian_of(8)
    first = round_matrix(weight, hessian, 4)
    torch.manual_seed(123)
    assert torch.equal(round_matrix(weight, hessian, 4).codes, first.codes)


def test_unknown_methods_bits_and_missing_hessians_are_refused() -> None:
    weight, hessian = draw(1, 2), torch.eye(2)
    with pytest.raises(TrainingError, match="unknown rounding method 'adaroud': known rounding methods are adaround"):
        round_matrix(weight, hessian, 4, "adaroud")
    with pytest.raises(TrainingError, match="needs at least 2 bits, got 1: train the network in 1 bit"):
        round_matrix(weight, hessian, 1)
    with pytest.raises(SpaceError, match="bits of a weight must be one of 8, 4, 2, 1, got 3"):
        round_matrix(weight, hessian, 3)
    with pytest.raises(TrainingError, match="needs the Hessian of each layer, got none for '0'"):
        round_layers(nn.Sequential(nn.Linear(2, 2)), {}, {"0": 4})
