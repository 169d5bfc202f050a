import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import SpaceError
from parefront.hardware_profiles.profile import Capabilities
from parefront.spaces import Network, trace
from parefront.spaces import truncation as linear_algebra
from parefront.spaces.factorize import MAX_CHOICES, Factorize, factorize_layer, is_part_of
from parefront.spaces.input_moments import measure_input_moments
from parefront.spaces.layer_parts import output_parts
from parefront.spaces.rank_schemes import factor_weights, parse_rank
from parefront.spaces.tucker import VBMF_NOTE


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network_of(*layers: nn.Module, shape: tuple[int, ...]) -> Network:
    return trace(nn.Sequential(*layers), torch.zeros(2, *shape))


def choices_of(network: Network, technique: Factorize | None = None) -> list[str]:
    (site,) = (technique or Factorize()).find_sites(network, Capabilities()).sites
    return [str(choice) for choice in site.choices[1:]]


def schemes_of(network: Network, technique: Factorize | None = None) -> set[str]:
    return {parse_rank(choice)[0] for choice in choices_of(network, technique)}


# What is offered.


def test_ranks_keep_shares_of_the_energy_on_the_grid() -> None:
    # Shares of the energy at ranks 8, 16, 24, 40: .51, .71, .86, .96, evenly spread between. So 50, 70 and 85 % are
    # reached just before 8, 16 and 24; 95 % at 39, on the grid 40, whose 40 x 128 weights are more than 64 x 64.
    steps = ((8, 0.51), (8, 0.20), (8, 0.15), (16, 0.10), (24, 0.04))
    energy = torch.cat([torch.full((count,), share / count, dtype=torch.float64) for count, share in steps])
    linear = nn.Linear(64, 64)
    with torch.no_grad():
        linear.weight.copy_(torch.diag(energy.sqrt()))
    found = Factorize().find_sites(network_of(linear, shape=(64,)), Capabilities(channel_grid=8))
    assert [(site.name, site.choices) for site in found.sites] == [("rank/0", ("full", "svd:24", "svd:16", "svd:8"))]


@pytest.mark.parametrize("technique", [Factorize(), Factorize(has_cp=True)])
def test_every_rank_costs_less_than_the_layer_and_no_more_than_the_one_before(technique: Factorize) -> None:
    choices = choices_of(network_of(nn.Conv2d(48, 64, 3, bias=False), shape=(48, 5, 5)), technique)
    costs = [factor_weights(choice, 48, 64, (3, 3)) for choice in choices]
    assert all(rank % 8 == 0 for choice in choices for rank in parse_rank(choice)[1])
    assert len(set(choices)) == len(choices) <= MAX_CHOICES
    assert costs == sorted(costs, reverse=True)
    assert costs[0] < 48 * 64 * 9


@pytest.mark.parametrize(
    ("layer", "shape", "schemes"),
    [
        (nn.Linear(64, 64), (64,), {"svd"}),
        (nn.Linear(64, 64), (5, 64), {"svd"}),
        (nn.Conv2d(64, 64, 1), (64, 5, 5), {"svd"}),
        (nn.Conv1d(64, 64, 1), (64, 9), {"svd"}),
        (nn.Conv2d(64, 64, 3), (64, 9, 9), {"spatial", "channel", "tucker"}),
        (nn.Conv2d(64, 64, 3, dilation=2), (64, 9, 9), {"spatial", "channel", "tucker"}),
        (nn.Conv2d(64, 64, 3, padding="same"), (64, 9, 9), {"spatial", "channel", "tucker"}),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular"), (64, 9, 9), {"spatial", "channel", "tucker"}),
        (nn.Conv2d(64, 64, (1, 7)), (64, 9, 9), {"channel", "tucker"}),
        (nn.Conv1d(64, 64, 5), (64, 9), {"channel", "tucker"}),
        (nn.Conv3d(32, 32, 3), (32, 3, 3, 3), {"channel", "tucker"}),
    ],
)
def test_each_layer_gets_the_schemes_that_fit_it(layer: nn.Module, shape: tuple[int, ...], schemes: set[str]) -> None:
    assert schemes_of(network_of(layer, shape=shape)) == schemes


def test_cp_is_offered_only_on_demand() -> None:
    network = network_of(nn.Conv2d(32, 32, 3), shape=(32, 5, 5))
    assert "cp" not in schemes_of(network)
    assert "cp" in schemes_of(network, Factorize(has_cp=True))


def test_linear_layers_whose_inputs_are_known_lose_the_least_of_the_outputs() -> None:
    samples = random(256, 64) * torch.logspace(0, -2, 64)
    network = network_of(nn.Linear(64, 64), shape=(64,))
    known = replace(network, input_moments=measure_input_moments(network, samples))
    assert schemes_of(network) == {"svd"}
    assert schemes_of(known) == {"asvd"}
    # Inputs that fall off a hundredfold need fewer directions than the weight alone.
    assert parse_rank(choices_of(known)[-1])[1] < parse_rank(choices_of(network)[-1])[1]
    # At the same rank the outputs are nearer with the inputs known.
    with torch.no_grad():
        expected = network.module(samples)
        errors = {}
        for scheme in ("svd", "asvd"):
            module = copy.deepcopy(network.module)
            Factorize().prepare(module, {"0": f"{scheme}:8"}, known)
            errors[scheme] = float((module(samples) - expected).square().sum())
    assert errors["asvd"] < 0.5 * errors["svd"]


def test_the_ranks_that_vbmf_finds_are_marked() -> None:
    conv = nn.Conv2d(32, 40, 3)
    with torch.no_grad():
        signal = torch.einsum("oa,abhw,ib->oihw", random(40, 16), random(16, 8, 3, 3), random(32, 8, seed=1))
        conv.weight.copy_(signal + 0.1 * random(40, 32, 3, 3, seed=2))
    (site,) = Factorize().find_sites(network_of(conv, shape=(32, 5, 5)), Capabilities()).sites
    assert [choice for choice in site.choices if site.note(choice)] == ["tucker:8x16"]
    assert site.note("tucker:8x16") == VBMF_NOTE


def test_what_costs_more_and_loses_more_is_no_choice() -> None:
    # Rank 8 of the spatial matrix, whose 8 rows carry the same energy each: (k x 1) x (1 x k) needs nothing else.
    rows, columns = torch.linalg.qr(random(96, 8)).Q, torch.linalg.qr(random(96, 8, seed=1)).Q
    conv = nn.Conv2d(32, 32, 3)
    with torch.no_grad():
        matrix = (rows @ columns.T).reshape(32, 3, 32, 3)  # (in, kh, out, kw)
        conv.weight.copy_(matrix.permute(2, 0, 1, 3))
    (site,) = Factorize().find_sites(network_of(conv, shape=(32, 5, 5)), Capabilities()).sites
    full, *choices = [str(choice) for choice in site.choices if not site.note(choice)]  # what is marked stays
    assert (full, choices[0]) == ("full", "spatial:8")
    cost = factor_weights("spatial:8", 32, 32, (3, 3))
    assert all(factor_weights(choice, 32, 32, (3, 3)) <= cost / 0.9 for choice in choices)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(32, 32, 3, groups=32), "depthwise"),
        (nn.Conv2d(32, 64, 1, groups=32), "depthwise"),
        (nn.ConvTranspose2d(32, 32, 3), "transposed"),
        (nn.Conv2d(4, 6, 1), "no rank on the grid"),
    ],
)
def test_what_cannot_be_factorised_is_left_alone(layer: nn.Conv2d, reason: str) -> None:
    found = Factorize().find_sites(network_of(layer, shape=(layer.in_channels, 9, 9)), Capabilities())
    assert found.sites == ()
    assert reason in found.left_alone[0].reason


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_grouped_convolution_is_factorised_group_by_group(kernel: int) -> None:
    layer = nn.Conv2d(64, 64, kernel, groups=4, padding=kernel // 2)
    with torch.no_grad():  # rank 4 in every group
        left, right = torch.randn(4, 16, 4), torch.randn(4, 4, 16 * kernel**2)
        layer.weight.copy_((left @ right).reshape(layer.weight.shape))
    network = network_of(layer, nn.ReLU(), nn.Conv2d(64, 8, 1), shape=(64, 9, 9))
    (site,) = [site for site in Factorize().find_sites(network, Capabilities()).sites if site.layer == "0"]
    assert "grouped:4x4" in site.choices  # all of the energy; 8 channels of the 4 groups would be grouped:2x4
    module = copy.deepcopy(network.module)
    Factorize().prepare(module, {"0": "grouped:4x4"}, network)
    first, second = module.get_submodule("0.0"), module.get_submodule("0.1")
    assert (first.groups, second.groups, first.out_channels) == (4, 4, 16)
    inputs = torch.randn(2, 64, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(module(inputs), network.module(inputs), rtol=1e-4, atol=1e-4)


def test_a_layer_that_is_called_twice_is_left_alone() -> None:
    linear = nn.Linear(64, 64)
    found = Factorize().find_sites(network_of(linear, nn.ReLU(), linear, shape=(64,)), Capabilities())
    assert [item.reason for item in found.left_alone] == ["its weight is used in several places"]


# How it is made real.


@pytest.mark.parametrize("choice", ["spatial:12", "channel:6", "tucker:4x6"])
def test_a_layer_becomes_nodes_of_the_graph(choice: str) -> None:
    network = network_of(nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1), nn.Flatten(), shape=(4, 7, 7))
    module = copy.deepcopy(network.module)
    Factorize().prepare(module, {"1": choice}, network)
    n_factors = len(module.get_submodule("1"))
    names = [str(node.target) for node in module.graph.nodes if node.op == "call_module"]
    assert names == ["0", *(f"1.{position}" for position in range(n_factors)), "2"]
    assert output_parts(module, "1") == (f"1.{n_factors - 1}",)
    inputs = random(2, 4, 7, 7)
    with torch.no_grad():  # full rank
        torch.testing.assert_close(module(inputs), network.module(inputs), rtol=1e-4, atol=1e-5)


def test_a_layer_called_by_keyword_is_split_too() -> None:
    class Keyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(9, 7)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(input=x)

    network = trace(Keyword(), torch.zeros(2, 9))
    module = copy.deepcopy(network.module)
    Factorize().prepare(module, {"linear": "svd:7"}, network)
    inputs = random(2, 9)
    with torch.no_grad():
        torch.testing.assert_close(module(inputs), network.module(inputs), rtol=1e-4, atol=1e-5)


def test_a_second_candidate_computes_no_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    eigh: Callable[[Tensor], object] = torch.linalg.eigh

    def counted(matrix: Tensor) -> object:
        calls.append(matrix.shape)
        return eigh(matrix)

    monkeypatch.setattr(linear_algebra.torch.linalg, "eigh", counted)
    network = network_of(nn.Conv2d(16, 16, 3), shape=(16, 5, 5))
    made = []
    # A smaller rank is part of the larger one's factors.
    for choice, n_decompositions in (("spatial:16", 1), ("spatial:8", 1), ("tucker:8x8", 3), ("tucker:8x16", 3)):
        for _ in range(2):
            module = copy.deepcopy(network.module)
            Factorize().prepare(module, {"0": choice}, network)
            made.append(module)
        assert len(calls) == n_decompositions
    for first, second in zip(made[::2], made[1::2], strict=True):
        for one, other in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(one, other)
            assert one is not other


def test_other_weights_than_the_originals_are_taken_as_they_are() -> None:
    network = network_of(nn.Linear(9, 7, bias=False), shape=(9,))
    Factorize().prepare(copy.deepcopy(network.module), {"0": "svd:3"}, network)  # remembered from here on
    module = copy.deepcopy(network.module)
    changed = random(7, 3) @ random(3, 9, seed=1)
    with torch.no_grad():
        module.get_parameter("0.weight").copy_(changed)
    Factorize().prepare(module, {"0": "svd:3"}, network)
    product = module.get_parameter("0.1.weight") @ module.get_parameter("0.0.weight")
    torch.testing.assert_close(product.detach(), changed, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "is_part"),
    [
        ("a.b", True),
        ("a.b.0", True),
        ("a.b.3", True),
        ("a.b.conv", False),
        ("a.c", False),
        ("a", False),
        ("a.b1", False),
    ],
)
def test_the_parts_of_a_layer_are_its_factors(layer: str, is_part: bool) -> None:
    assert is_part_of(layer, "a.b") is is_part


def test_a_rank_of_unknown_inputs_is_refused() -> None:
    network = network_of(nn.Linear(9, 7), shape=(9,))
    with pytest.raises(SpaceError, match="asvd needs a linear layer and the second moment of its inputs, got none"):
        factorize_layer(copy.deepcopy(network.module), "0", "asvd:3")


def test_the_choices_of_a_layer_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    def ratio(neighbours: tuple[int, int]) -> float:
        return neighbours[1] / neighbours[0]

    network = network_of(nn.Conv2d(64, 64, 3), shape=(64, 5, 5))
    all_costs = [factor_weights(choice, 64, 64, (3, 3)) for choice in choices_of(network)]
    monkeypatch.setattr("parefront.spaces.factorize.MAX_CHOICES", 3)
    costs = [factor_weights(choice, 64, 64, (3, 3)) for choice in choices_of(network)]
    assert len(costs) == 3
    assert costs[0] == all_costs[0]
    # Those that are left lie further apart than the nearest of all did.
    assert max(map(ratio, pairwise(costs))) < max(map(ratio, pairwise(all_costs)))
