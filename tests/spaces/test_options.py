import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import CompressionOptions, find_space, observe, prepare, trace


def network_of(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval()


def loss_of(inputs: Tensor) -> object:
    return lambda module: module(inputs).square().mean()


def test_the_inputs_of_linear_layers_decide_their_ranks_once_they_are_measured() -> None:
    inputs = torch.randn(64, 64) * torch.linspace(0.01, 1, 64)
    plain = trace(network_of(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)), inputs[:2])
    observed = observe(plain, inputs, CompressionOptions())
    torch.testing.assert_close(
        observed.input_moments["0"], inputs.double().T @ inputs.double() / 64, rtol=1e-4, atol=1e-5
    )
    site = find_space(observed, Capabilities()).site("rank/0")
    assert {str(choice).partition(":")[0] for choice in site.choices[1:]} == {"asvd"}
    assert plain.input_moments == {}


@pytest.mark.parametrize("importance", ["l2", "bn", "taylor", "fpgm"])
def test_every_importance_prunes_what_it_ranks_lowest(importance: str) -> None:
    model = network_of(
        nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten()
    )
    inputs = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        for channel in range(8):  # nothing in weight, norm and effect; and all alike
            model[0].weight[channel] = 1e-4
            model[1].weight[channel] = 1e-4
            model[3].weight[:, channel] = 1e-4
    options = CompressionOptions(importance=importance)
    network = observe(trace(model, inputs[:2]), inputs, options, loss_of(inputs))  # type: ignore[arg-type]
    space = find_space(network, Capabilities(), options)
    pruned = prepare(network, space.canonical({"prune/0": 8}))
    kept = pruned.get_submodule("0").weight
    assert torch.equal(kept, model[0].weight[8:])


def test_cp_is_offered_on_demand_only() -> None:
    network = trace(network_of(nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Conv2d(32, 8, 1)), torch.zeros(1, 32, 6, 6))
    for has_cp in (False, True):
        choices = find_space(network, Capabilities(), CompressionOptions(has_cp=has_cp)).site("rank/0").choices
        assert any(str(choice).startswith("cp:") for choice in choices) is has_cp


@pytest.mark.parametrize(("name", "value"), [("importance", "l1"), ("ranges", "minmx")])
def test_an_unknown_way_is_refused_with_the_known_ones(name: str, value: str) -> None:
    with pytest.raises(SpaceError, match=r"unknown .*(did you mean|known)"):
        CompressionOptions(**{name: value})  # type: ignore[arg-type]
