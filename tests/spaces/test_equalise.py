import copy

import pytest
import torch
from torch import Tensor, nn

from parefront.spaces import trace
from parefront.spaces.equalise import equalise


def ranges_between(model: nn.Module, first: str, second: str) -> tuple[Tensor, Tensor]:
    """Widest weight of each channel between two layers without groups, in the one and in the other."""
    outer = model.get_parameter(f"{first}.weight").flatten(1).abs().amax(1)
    inner = model.get_parameter(f"{second}.weight").transpose(0, 1).flatten(1).abs().amax(1)
    return outer, inner


def test_a_pair_by_hand() -> None:
    module = trace(nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)), torch.zeros(1, 1)).module
    with torch.no_grad():
        module.get_parameter("0.weight").copy_(torch.tensor([[8.0], [0.5]]))
        module.get_parameter("0.bias").copy_(torch.tensor([4.0, 1.0]))
        module.get_parameter("2.weight").copy_(torch.tensor([[2.0, 0.5]]))
    assert equalise(module, {"0", "2"}) == 1
    # Equation 11: s = sqrt(r1 / r2) = (2, 1); both ranges become sqrt(r1 r2) = (4, .5).
    torch.testing.assert_close(module.get_parameter("0.weight"), torch.tensor([[4.0], [0.5]]))
    torch.testing.assert_close(module.get_parameter("0.bias"), torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(module.get_parameter("2.weight"), torch.tensor([[4.0, 0.5]]))


@pytest.mark.parametrize(
    ("model", "n_pairs"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1)), 1),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 1)), 2),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.LeakyReLU(0.1), nn.Conv2d(8, 6, 3, groups=2), nn.Conv2d(6, 4, 1)), 2),
        (nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU6(), nn.Conv2d(8, 4, 1)), 0),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU(), nn.Conv2d(8, 4, 1)), 0),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)), 0),
    ],
)
def test_outputs_stay_and_only_homogeneous_pairs_are_scaled(model: nn.Module, n_pairs: int) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network = trace(model, x)
    module = copy.deepcopy(network.module)
    for layer in network.layers[:-1]:  # channels of very different width
        weight = module.get_parameter(f"{layer.name}.weight")
        with torch.no_grad():
            weight.mul_(torch.logspace(-1, 1, len(weight)).reshape(-1, *[1] * (weight.dim() - 1)))
    expected = module(x).detach()
    assert equalise(module, {layer.name for layer in network.layers}) == n_pairs
    torch.testing.assert_close(module(x).detach(), expected, rtol=1e-4, atol=1e-5)
    if n_pairs == 1:
        torch.testing.assert_close(*ranges_between(module, "0", network.layers[-1].name))


def test_layers_that_are_not_quantised_or_read_twice_are_left_alone() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.third(self.second(x)) + x

    module = trace(Forked(), torch.zeros(2, 4)).module
    assert equalise(module, {"first", "second"}) == 0
    assert equalise(module, {"first", "second", "third"}) == 1


def test_a_channel_of_zeros_stays_as_it_is() -> None:
    module = trace(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), torch.zeros(1, 2)).module
    with torch.no_grad():
        module.get_parameter("0.weight")[0].zero_()
        module.get_parameter("1.weight")[:, 1].zero_()
    before = copy.deepcopy(module.state_dict())
    equalise(module, {"0", "1"})
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
