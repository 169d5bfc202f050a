"""What every technique promises, whatever it does: one suite that all of them pass."""

import copy

import pytest
import torch
from torch import Tensor, fx

from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Configuration, Network, Site, finish, prepare
from parefront.spaces.compress import TECHNIQUES
from parefront.spaces.technique import Technique
from parefront.tasks import digest

CAPABILITIES = Capabilities()


@pytest.fixture(params=TECHNIQUES, ids=lambda technique: technique.name)
def technique(request: pytest.FixtureRequest) -> Technique:
    return request.param


@pytest.fixture
def sites(technique: Technique, network: Network) -> tuple[Site, ...]:
    found = technique.find_sites(network, CAPABILITIES).sites
    assert found, "each of the networks has something for each technique"
    return found


def strongest(sites: tuple[Site, ...]) -> Configuration:
    """The last choice of every site that shares no layer with one before it."""
    taken: set[str] = set()
    choices = {}
    for site in sites:
        if not taken & set(site.layers):
            choices[site.name] = site.choices[-1]
            taken |= set(site.layers)
    return Configuration.of(choices)


def outputs(module: torch.nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return module(inputs)


def snapshot(module: fx.GraphModule) -> tuple[str, str, str, list[bool]]:
    flags = [parameter.requires_grad for parameter in module.parameters()]
    return digest(module.state_dict()), str(module.graph), str(module), flags


def test_sites_are_named_after_the_technique_and_the_first_layer(
    technique: Technique, network: Network, sites: tuple[Site, ...]
) -> None:
    known = {layer.name for layer in network.layers}
    for site in sites:
        assert site.name == f"{technique.name}/{site.layers[0]}"
        assert set(site.layers) <= known
        assert len(set(site.choices)) == len(site.choices) >= 2
    assert len({site.name for site in sites}) == len(sites)


def test_nothing_is_skipped_in_silence(technique: Technique, network: Network, sites: tuple[Site, ...]) -> None:
    left_alone = technique.find_sites(network, CAPABILITIES).left_alone
    assert all(item.technique == technique.name and item.name and item.reason for item in left_alone)
    if technique.name != "fold":  # whose candidates are activations, not layers
        spoken_of = {layer for site in sites for layer in site.layers} | {item.name for item in left_alone}
        assert spoken_of == {layer.name for layer in network.layers}


def test_no_decision_changes_nothing(technique: Technique, network: Network, images: Tensor) -> None:
    expected = outputs(network.module, images)
    module = copy.deepcopy(network.module)
    technique.prepare(module, {}, network)
    assert torch.equal(outputs(module, images), expected)
    technique.finish(module, {})
    assert torch.equal(outputs(module, images), expected)


def test_the_neutral_choices_leave_the_network_as_it_is(
    network: Network, sites: tuple[Site, ...], images: Tensor
) -> None:
    neutral = Configuration()
    expected = outputs(network.module, images)
    prepared = prepare(network, neutral)
    assert torch.equal(outputs(prepared, images), expected)
    finished = finish(prepared, neutral, images)
    torch.testing.assert_close(outputs(finished.module, images), expected, rtol=1e-5, atol=1e-5)
    assert finished.plan.tensors == {}


def test_the_input_is_not_touched(network: Network, sites: tuple[Site, ...], images: Tensor) -> None:
    configuration = strongest(sites)
    before = snapshot(network.module)
    prepared = prepare(network, configuration)
    assert snapshot(network.module) == before
    before = snapshot(prepared)
    finish(prepared, configuration, images)
    assert snapshot(prepared) == before


def test_the_same_twice_is_the_same(network: Network, sites: tuple[Site, ...], images: Tensor) -> None:
    configuration = strongest(sites)
    results = []
    for seed in (0, 1):  # whatever else happened in the process
        torch.manual_seed(seed)
        prepared = prepare(network, configuration)
        finished = finish(prepared, configuration, images)
        results.append((snapshot(prepared), snapshot(finished.module), finished.plan))
    assert results[0] == results[1]


def test_every_choice_survives_json(sites: tuple[Site, ...]) -> None:
    for site in sites:
        for choice in site.choices:
            configuration = Configuration.of({site.name: choice})
            assert Configuration.from_json(configuration.to_json()) == configuration


def test_every_choice_runs_and_keeps_the_outputs_shape(
    network: Network, sites: tuple[Site, ...], images: Tensor
) -> None:
    for site in sites:
        for choice in site.choices[1:]:
            configuration = Configuration.of({site.name: choice})
            prepared = prepare(network, configuration)
            assert outputs(prepared, images).shape == (4, 10), (site.name, choice)
            finished = finish(prepared, configuration, images)
            values = outputs(finished.module, images)
            assert values.shape == (4, 10), (site.name, choice)
            assert values.isfinite().all(), (site.name, choice)


def test_a_trainable_module_has_gradients_everywhere(network: Network, sites: tuple[Site, ...], images: Tensor) -> None:
    prepared = prepare(network, strongest(sites)).train()
    prepared(images).square().sum().backward()
    assert [name for name, parameter in prepared.named_parameters() if parameter.grad is None] == []
