import math

import pytest
import torch
from torch import Tensor, nn

from parefront.evaluators.output_divergence import N_INPUTS, OutputDivergence, divergence
from parefront.spaces import Configuration, Network, SearchSpace, trace
from parefront.spaces.options import DEFAULT_OPTIONS


class Chain(nn.Module):
    """Two linear layers without an activation between: channel 0 passes x0, channel 1 passes x1 / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.5]]))
            self.second.weight.copy_(torch.eye(2))
            self.second.bias.copy_(torch.tensor([100.0, -3.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


INPUTS = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


@pytest.fixture
def chain() -> Network:
    return trace(Chain().eval(), INPUTS[:2])


def test_the_network_itself_does_not_differ(tiny_network: Network, tiny_inputs: Tensor) -> None:
    assert OutputDivergence(tiny_network, tiny_inputs).of(Configuration()) == 0


def test_a_rank_loses_the_energy_of_what_it_drops(chain: Network) -> None:
    # Centred outputs are ±1 in the first column and ±1/2 in the second, twice each: energies 2 and 1/2.
    # The best matrix of rank 1 keeps the first: 1 - 2² / (2.5 * 2). The large bias is the mean's and counts for
    # nothing.
    found = OutputDivergence(chain, INPUTS).of(Configuration.of({"rank/first": "svd:1"}))
    assert found == pytest.approx(0.2, rel=1e-4)


def test_only_so_many_inputs_are_used(tiny_network: Network) -> None:
    inputs = torch.randn(N_INPUTS + 5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    configuration = Configuration.of({"bits/hidden": 8})
    few, more = (OutputDivergence(tiny_network, each).of(configuration) for each in (inputs[:N_INPUTS], inputs))
    assert few == more


def test_stronger_choices_differ_more(tiny_network: Network, tiny_space: SearchSpace, tiny_inputs: Tensor) -> None:
    measured = OutputDivergence(tiny_network, tiny_inputs, DEFAULT_OPTIONS)
    widths = tiny_space.site("prune/hidden").choices
    found = [measured.of(Configuration.of({"prune/hidden": width})) for width in widths[1:]]
    assert 0 < found[0] < found[-1] < 1


def test_rounding_counts_although_it_is_done_in_the_runtime(tiny_network: Network, tiny_inputs: Tensor) -> None:
    found = OutputDivergence(tiny_network, tiny_inputs).of(Configuration.of({"bits/hidden": 8}))
    assert 0 < found < 0.01


def test_the_network_is_not_touched(tiny_network: Network, tiny_inputs: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_network.module.state_dict().items()}
    OutputDivergence(tiny_network, tiny_inputs).of(Configuration.of({"fold/block.conv1": "on"}))
    after = tiny_network.module.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


# The measure itself. Outputs of two samples whose mean is 0 are turned by a change, or stretched, or shifted.


OUTPUTS = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([[3.0, 3.0], [-3.0, -3.0]], 0.5),  # by 45°: the cosine squared is 1/2
        ([[3.0, 4.0], [-3.0, -4.0]], 0.64),  # 1 - (3/5)²
        ([[3.0, 0.0], [-3.0, 0.0]], 0.0),
        ([[300.0, 0.0], [-300.0, 0.0]], 0.0),
        ([[8.0, -7.0], [2.0, -7.0]], 0.0),  # by (5, -7), the same for both
        ([[0.3, 0.4], [-0.3, -0.4]], 0.64),
        ([[-3.0, 0.0], [3.0, 0.0]], 1.0),
        ([[-3.0, 4.0], [3.0, -4.0]], 1.0),  # more than 90°, although the cosine squared is 9/25
        ([[0.0, 4.0], [0.0, -4.0]], 1.0),
        ([[5.0, 5.0], [5.0, 5.0]], 1.0),  # the same for all inputs
    ],
)
def test_the_divergence_is_the_share_of_energy_that_points_elsewhere(
    changed: list[list[float]], expected: float
) -> None:
    assert divergence(OUTPUTS, torch.tensor(changed) - OUTPUTS) == pytest.approx(expected, abs=1e-6)


def test_outputs_that_never_depended_on_the_inputs_count_as_lost() -> None:
    assert divergence(torch.ones(3, 2), torch.zeros(3, 2)) == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_has_no_divergence(value: float) -> None:
    assert math.isnan(divergence(OUTPUTS, torch.tensor([[value, 0.0], [0.0, 0.0]])))


@pytest.fixture(scope="module")
def tiny_inputs() -> Tensor:
    return torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
