from collections.abc import Callable

import pytest
import torch
from torch import nn

from parefront.evaluators.macs import count_macs, macs_score
from parefront.spaces import Configuration, finish, prepare, trace


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        # Output pixels x kernel x inputs / groups x outputs.
        (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 12), 10 * 12 * 9 * 3 * 8),
        (nn.Conv2d(3, 8, 3, stride=2), (1, 3, 11, 11), 5 * 5 * 9 * 3 * 8),
        (nn.Conv2d(4, 8, (1, 3)), (1, 4, 6, 6), 6 * 4 * 3 * 4 * 8),
        (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 5, 5), 3 * 3 * 9 * 8),
        (nn.Linear(20, 7), (1, 20), 20 * 7),
        (nn.Linear(20, 7), (1, 5, 20), 5 * 20 * 7),
    ],
)
@pytest.mark.parametrize("batch", [1, 4])
def test_one_layer_by_the_formula(layer: nn.Module, shape: tuple[int, ...], macs: int, batch: int) -> None:
    inputs = torch.zeros(batch, *shape[1:])
    module = trace(nn.Sequential(layer, nn.ReLU()), inputs).module
    assert count_macs(module, (inputs,)) == macs  # per sample, whatever the batch
    score = macs_score(module, (inputs,))
    assert (score.name, score.value, score.unit, score.is_higher_better) == ("macs", macs, "MACs", False)


def test_a_layer_called_twice_counts_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(torch.relu(self.fc(x)))

    inputs = torch.zeros(1, 6)
    assert count_macs(trace(Twice(), inputs).module, (inputs,)) == 2 * 36


def test_a_compressed_network_has_its_own_count(tiny_residual_network: Callable[..., nn.Module]) -> None:
    inputs = torch.zeros(2, 3, 16, 16)
    network = trace(tiny_residual_network(), inputs)
    configuration = Configuration.of({"prune/layer2.0.conv1": 8})
    module = finish(prepare(network, configuration), configuration, inputs).module
    # Of 32 channels 8 are left between the two convolutions: 64 pixels x 9 x 24 x (16 inputs + 32 outputs) fewer.
    assert count_macs(module, (inputs,)) == network.macs - 64 * 9 * 24 * (16 + 32)
