from dataclasses import replace

import pytest
import torch
from torch import nn

from parefront.evaluators.sensitivity import site_damages
from parefront.spaces import Network, SearchSpace, Site, trace
from parefront.spaces.patch_moments import PatchMoment


def linear(weight: list[list[float]]) -> nn.Linear:
    matrix = torch.tensor(weight)
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
    layer.weight = nn.Parameter(matrix)
    return layer


def space(*sites: Site) -> SearchSpace:
    return SearchSpace(sites, (), {})


def test_a_rank_gives_up_the_energy_of_what_it_drops() -> None:
    # Singular values 4, 3, 0: energies 16 and 9 of 25.
    network = trace(nn.Sequential(linear([[3.0, 0, 0], [0, 4.0, 0], [0, 0, 0]])), torch.zeros(2, 3))
    damages = site_damages(network, space(Site("rank/0", ("0",), ("full", "svd:2", "svd:1"))))
    assert damages["rank/0"] == pytest.approx({"full": 0.0, "svd:2": 0.0, "svd:1": 0.36}, abs=1e-6)


def test_bits_give_up_what_rounding_loses() -> None:
    exact = trace(nn.Sequential(linear([[1.0, -1.0], [2.0, 2.0]])), torch.zeros(2, 2))
    # One large and one small value per row: 0.3 of a step is rounded to nothing, or the range is clipped for its sake.
    lossy = trace(nn.Sequential(linear([[1.0, 0.3 / 127]])), torch.zeros(2, 2))
    site = Site("bits/0", ("0",), (32, 8))
    assert site_damages(exact, space(site))["bits/0"] == pytest.approx({32: 0.0, 8: 0.0}, abs=1e-9)
    lost = site_damages(lossy, space(site))["bits/0"]
    assert lost[32] == 0
    # The least squared error cannot exceed that of the full range: (0.3 / 127)² over an energy of 1.
    assert 0 < lost[8] <= (0.3 / 127) ** 2 * 1.001


def test_a_width_gives_up_the_importance_of_the_weakest_channels() -> None:
    # Rows and columns of squared norms 1 and 3 for the two channels in both layers: shares 1/4 and 3/4.
    first, second = linear([[1.0, 0.0], [0.0, 3**0.5]]), linear([[1.0, 3**0.5]])
    network = trace(nn.Sequential(first, nn.ReLU(), second), torch.zeros(2, 2))
    damages = site_damages(network, space(Site("prune/0", ("0",), (2, 1))))
    assert damages["prune/0"] == pytest.approx({2: 0.0, 1: 0.25})


def test_a_fold_gives_up_its_activation(tiny_network: Network) -> None:
    site = Site("fold/block.conv1", ("block.conv1", "block.conv2"), ("off", "on"))
    assert site_damages(tiny_network, space(site)) == {site.name: {"off": 0.0, "on": 1.0}}


def test_folds_are_compared_by_the_activations_that_they_give_up(tiny_network: Network) -> None:
    long = Site("fold/a", ("a", "b", "c", "d", "e"), ("off", "on", "on:2", "on:4"))
    short = Site("fold/x", ("x", "y"), ("off", "on"))
    assert site_damages(tiny_network, space(long, short)) == {
        "fold/a": {"off": 0.0, "on": 0.25, "on:2": 0.5, "on:4": 1.0},
        "fold/x": {"off": 0.0, "on": 0.25},
    }


def test_stronger_choices_destroy_more(tiny_network: Network, tiny_space: SearchSpace) -> None:
    damages = site_damages(tiny_network, tiny_space)
    assert set(damages) == {site.name for site in tiny_space.sites}
    for site in tiny_space.sites:
        values = [damages[site.name][choice] for choice in site.choices]
        assert values[0] == 0
        assert all(0 < value <= 1 for value in values[1:])
        if site.technique == "prune":
            assert values == sorted(values)
        if site.technique == "rank":  # within one scheme; between schemes the same rank keeps different energies
            for scheme in ("spatial", "channel", "svd"):
                of_scheme = [damages[site.name][c] for c in site.choices[1:] if str(c).startswith(scheme)]
                assert of_scheme == sorted(of_scheme)


def test_an_operator_gives_up_what_the_outputs_miss() -> None:
    # All weights 1: without knowing the patches 1 x 1 keeps 1 of 9.
    conv = nn.Conv2d(3, 16, 3, padding=1)
    nn.init.ones_(conv.weight)
    network = trace(nn.Sequential(conv), torch.zeros(2, 3, 4, 4))
    site = Site("operator/0", ("0",), ("full", "separable", "pointwise"))
    expected = {"full": 0.0, "separable": 0.0, "pointwise": 8 / 9}
    assert site_damages(network, space(site))["operator/0"] == pytest.approx(expected, abs=1e-5)
    # Where the values under a kernel are all the same, the one in the middle tells them.
    alike = PatchMoment(torch.kron(torch.eye(3), torch.ones(9, 9)).double(), torch.zeros(27).double())
    known = replace(network, patch_moments={"0": alike})
    assert site_damages(known, space(site))["operator/0"] == pytest.approx(dict.fromkeys(site.choices, 0.0), abs=1e-5)
