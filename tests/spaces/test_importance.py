from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Network, trace
from parefront.spaces.importance import METHODS, class_scores, measure_importances


def two_linear() -> nn.Sequential:
    """Weights 1 and 2 into two channels, 3 and 4 out of them."""
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [2.0]]))
        model[1].weight.copy_(torch.tensor([[3.0, 4.0]]))
    return model


def scores(network: Network, importances: dict[str, Tensor] | None = None) -> Tensor:
    """Of the first group."""
    group = network.channels.groups[0]
    return class_scores(network.module, network.follower.map, group.classes, importances or {})


def measured(network: Network, method: str, loss: Callable[[nn.Module], Tensor] | None = None) -> dict[str, Tensor]:
    return measure_importances(network.module, network.follower.map, method, loss)


def test_l2_is_the_squared_norm_over_its_mean() -> None:
    # Averaged over producer and consumer: (1² + 3²) / 2 = 5 and (2² + 4²) / 2 = 10; over their mean 7.5.
    network = trace(two_linear(), torch.zeros(1, 1))
    torch.testing.assert_close(scores(network), torch.tensor([5.0, 10.0]) / 7.5)
    assert measured(network, "l2") == {}  # nothing beyond the weights


def test_l2_sums_what_belongs_to_a_channel_at_every_kind_of_layer() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False),  # 1 and 2
        nn.BatchNorm2d(2),  # 3 and 0
        nn.Conv2d(2, 4, 1, groups=2, bias=False),  # depthwise, 1 and 1, then 2 and 0
        nn.Flatten(),
        nn.Linear(8, 1, bias=False),  # of two pixels; both outputs of the depthwise: 1, 1, 1, 1 and 2, 0, 0, 1
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, 2]).reshape(2, 1, 1, 1))
        model[1].weight.copy_(torch.tensor([3.0, 0]))
        model[2].weight.copy_(torch.tensor([1.0, 1, 2, 0]).reshape(4, 1, 1, 1))
        model[4].weight.copy_(torch.tensor([[1.0, 1, 1, 1, 2, 0, 0, 1]]))
    network = trace(model, torch.zeros(1, 1, 1, 2))
    # Channel 0: (1 + 9 + 2 + 4) / 4 = 4; channel 1: (4 + 0 + 4 + 5) / 4 = 3.25; mean 3.625.
    torch.testing.assert_close(scores(network), torch.tensor([4.0, 3.25]) / 3.625)


def test_l2_of_grouped_and_transposed_convolutions() -> None:
    model = nn.Sequential(
        nn.ConvTranspose1d(1, 4, 1, bias=False), nn.Conv1d(4, 2, 1, groups=2, bias=False), nn.Flatten(), nn.Linear(2, 1)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, 2, 3, 4]).reshape(1, 4, 1))
        model[1].weight.copy_(torch.tensor([[1.0, 2], [3, 4]]).reshape(2, 2, 1))
    network = trace(model, torch.zeros(1, 1, 1))
    # Classes {0, 2} and {1, 3}. Made: 1 + 9 and 4 + 16. Read: 1 + 9 = 10 and 4 + 16 = 20 of both groups' inputs at that
    # place, which counts for each of the two.
    torch.testing.assert_close(scores(network), torch.tensor([15.0, 30.0]) / 22.5)


def test_known_importances_go_before_weights() -> None:
    network = trace(two_linear(), torch.zeros(1, 1))
    torch.testing.assert_close(scores(network, {"0": torch.tensor([3.0, 1.0])}), torch.tensor([1.5, 0.5]))
    # Of a layer that is not in the group nothing is known here.
    torch.testing.assert_close(scores(network, {"1": torch.tensor([7.0])}), torch.tensor([5.0, 10.0]) / 7.5)


def test_coupled_layers_are_averaged(build: Callable[[str], nn.Module], images: Tensor) -> None:
    network = trace(build("residual"), images[:2])
    known = {"conv1": torch.arange(16.0), "layer1.0.conv2": torch.full((16,), 5.0)}
    expected = (torch.arange(16.0) + 5) / 2
    torch.testing.assert_close(scores(network, known), expected / expected.mean())


def test_a_network_of_zeros_has_no_favourites() -> None:
    model = two_linear()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(scores(trace(model, torch.zeros(1, 1))), torch.zeros(2))


def test_bn_is_the_magnitude_of_the_scale() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([2.0, -3.0, 0.5]))
    found = measured(trace(model, torch.zeros(1, 1, 2, 2)), "bn")
    assert found.keys() == {"0"}  # nothing normalises the last layer's outputs
    assert torch.equal(found["0"], torch.tensor([2.0, 3.0, 0.5]))


def test_taylor_is_the_squared_product_of_weight_and_gradient() -> None:
    # y = 3·1·x + 4·2·x and the loss is y at x = 2: the gradients are 6, 8 of the first weights and 2, 4 of the others.
    # Weight times gradient is 6 and 16 at both ends.
    network = trace(two_linear(), torch.zeros(1, 1))
    found = measured(network, "taylor", lambda module: module(torch.full((1, 1), 2.0)).sum())
    torch.testing.assert_close(found["0"], torch.tensor([36.0, 256.0]))
    # The only output holds y = 22 itself: the sum over its weights of 6 and 16.
    torch.testing.assert_close(found["1"], torch.tensor([484.0]))


def test_taylor_sums_before_it_squares() -> None:
    # An output's products cancel: whether all of its weights go, or none, the loss does not see it.
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    nn.init.ones_(model[0].weight)
    network = trace(model, torch.zeros(1, 2))
    found = measured(network, "taylor", lambda module: module(torch.tensor([[1.0, -1.0]])).sum())
    assert torch.equal(found["0"], torch.zeros(1))


def test_fpgm_is_the_sum_of_distances_to_the_other_filters() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(3, 1))
    with torch.no_grad():  # a triangle with sides 3, 4 and 5
        model[0].weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]).reshape(3, 2, 1, 1))
    found = measured(trace(model, torch.zeros(1, 2, 1, 1)), "fpgm")
    torch.testing.assert_close(found["0"], torch.tensor([7.0, 8.0, 9.0]))


def test_fpgm_of_a_transposed_convolution() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(2, 3, 1), nn.Flatten(), nn.Linear(3, 1))
    with torch.no_grad():  # its weight is (in, out, k, k)
        model[0].weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]).T.reshape(2, 3, 1, 1))
    found = measured(trace(model, torch.zeros(1, 2, 1, 1)), "fpgm")
    torch.testing.assert_close(found["0"], torch.tensor([7.0, 8.0, 9.0]))


def test_every_method_leaves_the_network_as_it_is(network: Network, images: Tensor) -> None:
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    made = network.follower.map.made
    for method in METHODS:
        found = measured(network, method, lambda module: module(images).square().mean())
        again = measured(network, method, lambda module: module(images).square().mean())
        assert found.keys() == again.keys() <= made.keys()
        for name, values in found.items():
            assert values.shape == (len(made[name]),)
            assert not values.requires_grad
            assert bool((values >= 0).all())
            assert torch.equal(values, again[name])
    after = network.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in network.module.parameters())


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SpaceError, match="unknown importance 'l1': known importances are l2, taylor, bn, fpgm"):
        measured(trace(two_linear(), torch.zeros(1, 1)), "l1")


def test_taylor_without_a_loss_is_refused() -> None:
    with pytest.raises(SpaceError, match="importance 'taylor' needs a loss on calibration data: choose 'l2' where"):
        measured(trace(two_linear(), torch.zeros(1, 1)), "taylor")
