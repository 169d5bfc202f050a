import pytest
import torch
from torch import Tensor, fx, nn

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import Configuration, Network, finish, prepare, trace
from parefront.spaces.layer_parts import output_parts
from parefront.training.factor_norms import add_factor_norms

CONFIGURATION = Configuration.of({"rank/0": "tucker:8x8", "rank/4": "svd:8"})


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    layers = nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 3), nn.Flatten(), nn.Linear(64, 32)
    return trace(nn.Sequential(*layers), torch.zeros(2, 16, 6, 6))


@pytest.fixture
def images() -> Tensor:
    return 1 + 3 * torch.randn(64, 16, 6, 6, generator=torch.Generator().manual_seed(1))


def outputs(module: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return module(images)


def normed(network: Network, images: Tensor) -> tuple[fx.GraphModule, tuple[str, ...]]:
    module = prepare(network, CONFIGURATION)
    return module, add_factor_norms(module, ["0", "2", "4"], images)


def test_the_outputs_stay_what_they_were(network: Network, images: Tensor) -> None:
    expected = outputs(prepare(network, CONFIGURATION), images)
    module, names = normed(network, images)
    assert names == ("0.norm0", "0.norm1", "4.norm0")
    torch.testing.assert_close(outputs(module, images), expected, rtol=1e-4, atol=1e-4)
    # On the very samples of the statistics a training step begins there too.
    torch.testing.assert_close(outputs(module.train(), images), expected, rtol=1e-2, atol=1e-2)
    assert output_parts(module, "0") == ("0.2",)


def test_they_are_folded_in_the_end(network: Network, images: Tensor) -> None:
    module, names = normed(network, images)
    for name in names:
        nn.init.normal_(module.get_submodule(name).weight)  # as if trained
    finished = finish(module, CONFIGURATION, images).module
    assert not [each for each in finished.modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
    torch.testing.assert_close(outputs(finished, images), outputs(module.eval(), images), rtol=1e-3, atol=1e-3)


def test_a_linear_layer_on_a_sequence_is_passed_over(images: Tensor) -> None:
    network = trace(nn.Sequential(nn.Linear(36, 24)), torch.zeros(2, 16, 36))
    module = prepare(network, Configuration.of({"rank/0": "svd:8"}))
    assert add_factor_norms(module, ["0"], images.flatten(2)) == ()


def test_statistics_need_samples(network: Network, images: Tensor) -> None:
    with pytest.raises(TrainingError, match="at least 2 samples, got 1"):
        normed(network, images[:1])
