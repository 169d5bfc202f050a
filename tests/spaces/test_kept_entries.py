import pytest
import torch

from parefront.spaces import Configuration, Network, SearchSpace, prepare
from parefront.spaces.kept_entries import kept_entries


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"prune/hidden": 16},
        {"prune/stem": 8, "prune/block.conv1": 8},
        {"prune/stem": 8, "fold/block.conv1": "on"},
    ],
)
def test_the_entries_are_those_of_the_unpruned_tensors(
    tiny_network: Network, tiny_space: SearchSpace, choices: dict[str, int | str]
) -> None:
    configuration = tiny_space.canonical(choices)
    others = tiny_space.canonical({name: choice for name, choice in choices.items() if not name.startswith("prune/")})
    before = prepare(tiny_network, others).state_dict()
    pruned = prepare(tiny_network, configuration).state_dict()
    found = kept_entries(tiny_network, configuration)
    assert found.keys() == pruned.keys()
    for name, value in pruned.items():
        assert torch.equal(before[name].flatten()[found[name]], value), name


def test_the_factors_of_a_layer_have_entries_too(tiny_network: Network, tiny_space: SearchSpace) -> None:
    rank = next(site for site in tiny_space.sites if site.name == "rank/hidden")
    configuration = tiny_space.canonical({"rank/hidden": rank.choices[-1], "prune/hidden": 24})
    pruned = prepare(tiny_network, configuration).state_dict()
    before = prepare(tiny_network, Configuration.of({"rank/hidden": rank.choices[-1]})).state_dict()
    found = kept_entries(tiny_network, configuration)
    assert configuration.get("prune/hidden") == 24
    assert configuration.get("rank/hidden") == rank.choices[-1]
    for name in ("hidden.0.weight", "hidden.1.weight", "classifier.weight"):
        assert torch.equal(before[name].flatten()[found[name]], pruned[name]), name


def test_a_narrower_candidate_keeps_some_of_a_wider_ones_channels(
    tiny_network: Network, tiny_space: SearchSpace
) -> None:
    wide, narrow = (
        kept_entries(tiny_network, tiny_space.canonical({"prune/hidden": width}))["hidden.weight"] for width in (24, 8)
    )
    assert (wide.shape, narrow.shape) == ((24, 256), (8, 256))
    assert set(narrow.flatten().tolist()) < set(wide.flatten().tolist())


def test_the_network_is_not_touched(tiny_network: Network, tiny_space: SearchSpace) -> None:
    before = {name: value.clone() for name, value in tiny_network.module.state_dict().items()}
    kept_entries(tiny_network, tiny_space.canonical({"prune/stem": 8}))
    assert all(torch.equal(value, before[name]) for name, value in tiny_network.module.state_dict().items())
