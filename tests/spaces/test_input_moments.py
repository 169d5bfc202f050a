import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import trace
from parefront.spaces.input_moments import BATCH, measure_input_moments

N_SAMPLES = 2 * BATCH + 3


@pytest.fixture
def samples() -> Tensor:
    return torch.randn(N_SAMPLES, 4, generator=torch.Generator().manual_seed(0))


def test_the_moment_is_the_mean_of_the_outer_products(samples: Tensor) -> None:
    network = trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), samples[:2])
    moments = measure_input_moments(network, samples)
    with torch.no_grad():
        hidden = network.module.get_submodule("0")(samples).relu().double()
    assert set(moments) == {"0", "2"}
    expected = sum(torch.outer(x, x) for x in samples.double()) / N_SAMPLES
    torch.testing.assert_close(moments["0"], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(moments["2"], hidden.T @ hidden / N_SAMPLES, rtol=1e-5, atol=1e-6)


def test_every_position_counts() -> None:
    values = torch.arange(24.0).reshape(2, 3, 4)  # (n, positions, in)
    network = trace(nn.Sequential(nn.Linear(4, 2)), values)
    moments = measure_input_moments(network, values)
    rows = values.double().reshape(6, 4)
    torch.testing.assert_close(moments["0"], rows.T @ rows / 6)


def test_only_the_layers_asked_for_are_measured(samples: Tensor) -> None:
    network = trace(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), samples[:2])
    assert set(measure_input_moments(network, samples, ["1"])) == {"1"}


def test_a_network_of_several_inputs_is_fed_all_of_them(samples: Tensor) -> None:
    class Difference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return self.linear(left - right)

    other = samples.flip(0)
    network = trace(Difference(), (samples[:2], other[:2]))
    difference = (samples - other).double()
    moments = measure_input_moments(network, (samples, other))
    torch.testing.assert_close(moments["linear"], difference.T @ difference / N_SAMPLES, rtol=1e-5, atol=1e-6)


def test_the_network_is_left_without_hooks(samples: Tensor) -> None:
    network = trace(nn.Sequential(nn.Linear(4, 3)), samples[:2])
    measure_input_moments(network, samples)
    assert len(network.module.get_submodule("0")._forward_pre_hooks) == 0


def test_other_layers_are_refused(samples: Tensor) -> None:
    network = trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), samples[:2])
    with pytest.raises(SpaceError, match="measured for linear layers only, got '1': leave it out"):
        measure_input_moments(network, samples, ["1"])


def test_no_samples_are_refused(samples: Tensor) -> None:
    network = trace(nn.Sequential(nn.Linear(4, 3)), samples[:2])
    with pytest.raises(SpaceError, match="at least one calibration sample, got 0"):
        measure_input_moments(network, samples[:0])
