import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.spaces import Configuration, finish, prepare, set_linearity, trace
from parefront.spaces.fold import merge_linear_pairs
from parefront.spaces.merge import folded_parameters, merge_weights


@pytest.mark.parametrize("height", [7, 8, 16, 32])
def test_zero_padding_between_two_3x3_is_wrong_at_the_border_only(height: int) -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=generator)
    second = torch.randn(2, 3, 3, 3, dtype=torch.float64, generator=generator)
    image = torch.randn(1, 2, height, height, dtype=torch.float64, generator=generator)
    merged = functional.conv2d(image, merge_weights(first, second, (1, 1)), padding=2)
    as_trained = functional.conv2d(functional.conv2d(image, first, padding=1), second, padding=1)
    moved = functional.conv2d(functional.conv2d(image, first, padding=2), second)

    def share_of_wrong_pixels(other: Tensor) -> float:
        return float(((merged - other).abs() > 1e-9).any(1).double().mean())

    # The ring of border pixels, 4H - 4 of H²: METHODS section 6 measured 49, 44, 23 and 12 % at H = 7, 8, 16 and 32.
    published = {7: 0.49, 8: 0.44, 16: 0.23, 32: 0.12}
    assert share_of_wrong_pixels(as_trained) == (4 * height - 4) / height**2
    assert share_of_wrong_pixels(as_trained) == pytest.approx(published[height], abs=0.005)
    assert share_of_wrong_pixels(moved) == 0


def test_merged_weights_by_hand() -> None:
    # In one dimension (1 x 2 kernels): out[i] = 5 mid[i] + 7 mid[i + 1] with mid[i] = 2 x[i] + 3 x[i + 1]
    # = 10 x[i] + (15 + 14) x[i + 1] + 21 x[i + 2].
    first, second = torch.tensor([[[[2.0, 3.0]]]]), torch.tensor([[[[5.0, 7.0]]]])
    assert merge_weights(first, second, (1, 1)).tolist() == [[[[10.0, 29.0, 21.0]]]]
    # With stride 2 the second tap starts two pixels later: 10, 15, 14, 21.
    assert merge_weights(first, second, (1, 2)).tolist() == [[[[10.0, 15.0, 14.0, 21.0]]]]
    # Two middle channels add up: 5 * 2 + 11 * 4 = 54.
    first, second = torch.tensor([[[[2.0]]], [[[4.0]]]]), torch.tensor([[[[5.0]], [[11.0]]]])
    assert merge_weights(first, second, (1, 1)).tolist() == [[[[54.0]]]]


@pytest.mark.parametrize("is_affine", [False, True])
def test_a_norm_folds_into_its_layer_by_the_formula(is_affine: bool, randomise: Callable[..., nn.Module]) -> None:
    # gamma (x - mean) / sqrt(var + eps) + beta
    layer, norm = nn.Linear(1, 2), nn.BatchNorm1d(2, eps=0.25, affine=is_affine)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0], [5.0]]))
        layer.bias.copy_(torch.tensor([1.0, 2.0]))
        norm.running_mean.copy_(torch.tensor([4.0, 0.0]))
        norm.running_var.copy_(torch.tensor([2.0, 0.75]))  # sqrt(2.25) = 1.5 and sqrt(1) = 1
        if is_affine:
            norm.weight.copy_(torch.tensor([6.0, 2.0]))
            norm.bias.copy_(torch.tensor([0.5, -1.0]))
    weight, bias = folded_parameters(layer, norm)
    assert weight.dtype == torch.float64
    assert weight.flatten().tolist() == pytest.approx([12.0, 10.0] if is_affine else [2.0, 5.0])
    assert bias.tolist() == pytest.approx([6 * -3 / 1.5 + 0.5, 2 * 2 - 1.0] if is_affine else [-2.0, 2.0])


@pytest.mark.parametrize("kind", ["residual", "shared-activation", "plain"])
def test_merging_early_and_merging_late_is_the_same(
    kind: str, build: Callable[[str], nn.Module], images: Tensor
) -> None:
    network = trace(build(kind), images[:2])
    first = {"residual": "layer1.0.conv1", "shared-activation": "layer1.0.conv1", "plain": "features.0"}[kind]
    configuration = Configuration.of({f"fold/{first}": "on"})
    late = prepare(network, configuration)
    set_linearity(late, 1.0)
    early = copy.deepcopy(late)
    assert merge_linear_pairs(early)
    assert not merge_linear_pairs(early)  # nothing is left to merge
    with torch.no_grad():
        torch.testing.assert_close(early(images), late(images), rtol=1e-4, atol=1e-5)
        finished = [finish(module, configuration, images).module for module in (early, late)]
        torch.testing.assert_close(finished[0](images), finished[1](images), rtol=1e-4, atol=1e-5)
    assert str(finished[0].graph) == str(finished[1].graph)
