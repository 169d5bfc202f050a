import pytest
import torch
from torch import nn

from parefront.spaces.linearise import LinearisedActivation, set_linearity


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [0.0, 3.0]), (0.25, [-0.5, 3.0]), (1.0, [-2.0, 3.0])])
@pytest.mark.parametrize("inplace", [False, True])
def test_an_activation_turns_linear(alpha: float, expected: list[float], inplace: bool) -> None:
    relu = nn.ReLU(inplace=inplace)
    activation = LinearisedActivation(relu)
    set_linearity(activation, alpha)
    x = torch.tensor([-2.0, 3.0])
    assert activation(x).tolist() == expected
    assert x.tolist() == [-2.0, 3.0]
    assert relu.inplace is inplace


def test_all_of_a_network_turn_together() -> None:
    network = nn.Sequential(LinearisedActivation(nn.ReLU()), nn.Sequential(LinearisedActivation(nn.Tanh())), nn.ReLU())
    set_linearity(network, 0.5)
    assert [float(value) for value in network.buffers()] == [0.5, 0.5]
