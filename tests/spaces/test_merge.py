import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.spaces import Configuration, finish, prepare, set_linearity, trace
from parefront.spaces.chain import Link, Segment
from parefront.spaces.fold import merge_linear_segments
from parefront.spaces.geometry import Geometry
from parefront.spaces.graph import module_of
from parefront.spaces.merge import LinearMap, folded_parameters, merge_segment, merge_weights, regroup, spread


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


def test_grouped_weights_merge_group_by_group() -> None:
    # Two channels that do not mix, 1 x 1: 2 * 5 and 3 * 7.
    first, second = torch.tensor([[[2.0]], [[3.0]]]), torch.tensor([[[5.0]], [[7.0]]])
    assert merge_weights(first, second, (1,), groups=2).flatten().tolist() == [10.0, 21.0]
    # A dense first layer: each of its outputs is scaled by itself.
    first = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert merge_weights(first, second, (1,), groups=2)[..., 0].tolist() == [[5.0, 10.0], [21.0, 28.0]]


def test_a_kernel_is_spread_by_zeros() -> None:
    kernel = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert spread(kernel, (1, 2))[0, 0].tolist() == [[1.0, 0.0, 2.0], [3.0, 0.0, 4.0]]
    assert spread(kernel, (1, 1)) is kernel


def test_fewer_groups_are_padded_by_zeros() -> None:
    # Four outputs of one input each, in four groups; in two groups each output also sees its neighbour's input.
    weight = torch.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])
    assert regroup(weight, 4, 4) is weight
    assert regroup(weight, 4, 2)[..., 0].tolist() == [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0]]
    assert torch.equal(regroup(weight, 4, 1)[..., 0], torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.ConvTranspose1d, nn.Conv1d])
def test_a_norm_folds_into_a_convolution_of_either_kind(
    kind: type[nn.Module], groups: int, randomise: Callable[..., nn.Module]
) -> None:
    model = randomise(nn.Sequential(kind(4, 6, 3, groups=groups), nn.BatchNorm1d(6))).double()
    folded = copy.deepcopy(model[0])
    weight, bias = folded_parameters(model[0], model[1])
    folded.weight, folded.bias = nn.Parameter(weight), nn.Parameter(bias)
    x = torch.randn(2, 4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-12, atol=1e-12)


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


@pytest.mark.parametrize(
    ("kind", "first", "choice"),
    [
        ("residual", "layer1.0.conv1", "on"),
        ("shared-activation", "layer1.0.conv1", "on"),
        ("shared-activation", "layer1.0.conv1", "on:2"),
        ("plain", "features.0", "on"),
    ],
)
def test_merging_early_and_merging_late_is_the_same(
    kind: str, first: str, choice: str, build: Callable[[str], nn.Module], images: Tensor
) -> None:
    network = trace(build(kind), images[:2])
    configuration = Configuration.of({f"fold/{first}": choice})
    late = prepare(network, configuration)
    set_linearity(late, 1.0)
    early = copy.deepcopy(late)
    assert merge_linear_segments(early)
    assert not merge_linear_segments(early)  # nothing is left to merge
    assert any(isinstance(norm, nn.BatchNorm2d) for norm in early.modules())  # those behind the merged layers stay
    with torch.no_grad():
        torch.testing.assert_close(early(images), late(images), rtol=1e-4, atol=1e-5)
        finished = [finish(module, configuration, images).module for module in (early, late)]
        torch.testing.assert_close(finished[0](images), finished[1](images), rtol=1e-4, atol=1e-5)
    assert str(finished[0].graph) == str(finished[1].graph)


def test_the_cheapest_pair_is_merged_first_and_the_result_is_the_product() -> None:
    # 2 -> 1 -> 5 -> 3 by hand: (2, 3), then all of 1..5, then the sum of them and twice that and thrice.
    layers = [nn.Linear(2, 1), nn.Linear(1, 5), nn.Linear(5, 3)]
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([[2.0, 3.0]]))
        layers[0].bias.fill_(1.0)
        layers[1].weight.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]]))
        layers[1].bias.fill_(0.5)
        layers[2].weight.copy_(torch.tensor([[1.0] * 5, [2.0] * 5, [3.0] * 5]))
        layers[2].bias.copy_(torch.tensor([0.0, 10.0, 20.0]))
    maps = [LinearMap(Geometry.of(layer), *folded_parameters(layer, None)) for layer in layers]
    assert maps[0].effort(maps[1]) == 1 * 2 * 5
    assert maps[1].effort(maps[2]) == 5 * 1 * 3
    module = trace(nn.Sequential(*layers), torch.zeros(1, 2)).module
    nodes = [node for node in module.graph.nodes if node.op == "call_module"]
    merge_segment(module, Segment(tuple(nodes), (Link(None, None),) * 2))
    (merged,) = (module_of(module, node) for node in module.graph.nodes if node.op == "call_module")
    assert isinstance(merged, nn.Linear)
    # 15 (2 x + 3 y + 1) + 5 * 0.5 = 30 x + 45 y + 17.5, once, twice and three times.
    assert merged.weight.tolist() == [[30.0, 45.0], [60.0, 90.0], [90.0, 135.0]]
    assert merged.bias.tolist() == [17.5, 45.0, 72.5]
