"""Networks of linear layers, for which the first order is all there is, and small ones for which it is not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from parefront.evaluators.first_order import first_order_divergences
from parefront.evaluators.output_divergence import OutputDivergence
from parefront.hardware_profiles import HardwareProfile
from parefront.search.screening import rank_correlation
from parefront.spaces import (
    Choice,
    CompressionOptions,
    Configuration,
    Network,
    SearchSpace,
    Site,
    find_space,
    reestimate_batch_norm,
    trace,
)
from parefront.spaces.quantize import round_weight
from parefront.spaces.sparsify import smallest
from parefront.spaces.weight_codes import code_weight
from parefront.tasks import Task

INPUTS = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


def linear(weight: list[list[float]], bias: float = 0.0) -> nn.Linear:
    matrix = torch.tensor(weight)
    layer = nn.Linear(matrix.shape[1], matrix.shape[0])
    layer.weight = nn.Parameter(matrix)
    nn.init.constant_(layer.bias, bias)
    return layer


def space(*sites: Site) -> SearchSpace:
    return SearchSpace(sites, (), {})


def estimates(model: nn.Module, site: Site, inputs: Tensor) -> dict[Choice, float]:
    return dict(first_order_divergences(trace(model.eval(), inputs[:2]), space(site), inputs)[site.name])


def share_lost(before: Tensor, after: Tensor) -> float:
    """1 - cos² of outputs without their means."""
    before, after = (each.double() - each.double().mean(0) for each in (before, after))
    cosine = (before * after).sum() / (before.norm() * after.norm())
    return float(1 - cosine**2)


@pytest.mark.parametrize(
    "site",
    [
        Site("rank/0", ("0",), ("full", "svd:1")),
        Site("sparsity/0", ("0",), (0, 75)),
        Site("prune/0", ("0",), (2, 1)),
    ],
)
def test_what_a_choice_loses_of_a_linear_network_is_lost(site: Site) -> None:
    # Channel 0 passes x0, channel 1 passes x1 / 2: centred outputs of energies 2 and 1/2. Rank 1, one weight, and the
    # more important channel keep the first: 1 - 2² / (2.5 * 2). The large bias is the same for all samples.
    model = nn.Sequential(linear([[1.0, 0.0], [0.0, 0.5]]), linear([[1.0, 0.0], [0.0, 1.0]], bias=100.0))
    found = estimates(model, site, INPUTS)
    assert found == pytest.approx(dict(zip(site.choices, (0.0, 0.2), strict=True)), rel=1e-4)


def truncated(weight: Tensor) -> Tensor:
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    return u[:, :5] * s[:5] @ v[:5]


def without_weakest_rows(weight: Tensor) -> Tensor:
    """The layer behind is orthogonal: all channels weigh the same there."""
    is_kept = torch.zeros(len(weight)).index_fill(0, weight.square().sum(1).topk(8).indices, 1.0)
    return weight * is_kept[:, None]


@pytest.mark.parametrize(
    ("site", "change"),
    [
        (Site("rank/0", ("0",), ("full", "svd:5")), truncated),
        (Site("prune/0", ("0",), (12, 8)), without_weakest_rows),
        (Site("bits/0", ("0",), (32, "w4")), lambda weight: round_weight(weight, "w4")),
        (Site("bits/0", ("0",), (32, "bf16")), lambda weight: weight.bfloat16().float()),
        (Site("sparsity/0", ("0",), (0, 50)), lambda weight: weight.masked_fill(smallest(weight, 50), 0.0)),
        (Site("code/0", ("0",), ("full", "clusters:2")), lambda weight: code_weight(weight, "clusters:2").decode()),
    ],
)
def test_of_a_linear_network_the_first_order_is_all(site: Site, change: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(64, 12), nn.Linear(12, 12)
    nn.init.orthogonal_(second.weight)
    inputs, weight = torch.randn(50, 64), first.weight.detach()
    with torch.no_grad():
        expected = share_lost(second(inputs @ weight.T), second(inputs @ change(weight).T))
    found = estimates(nn.Sequential(first, second), site, inputs)
    assert found == pytest.approx({site.neutral: 0.0, site.choices[1]: expected}, rel=1e-2)


def test_int8_rounds_what_a_layer_reads_too() -> None:
    # From 0 to 255 in steps of 1; the weights are stored exactly.
    inputs = torch.tensor([[0.0, 255.0], [100.3, 7.4], [20.4, 90.3], [60.0, 0.3]])
    site = Site("bits/0", ("0",), (32, 8))
    found = estimates(nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0]])), site, inputs)
    assert found == pytest.approx({32: 0.0, 8: share_lost(inputs, inputs.round())}, rel=0.05)
    even = estimates(nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0]])), site, inputs.round())
    assert even[8] == pytest.approx(0, abs=1e-9)


def test_a_layer_that_is_called_twice_changes_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear([[1.0, 0.0], [0.0, 0.5]])

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    # Outputs x0 and x1 / 4. Without the second weight either call alone loses x1 / 4: to first order -x1 / 4 is left.
    # Energies 2 and 1/8, before and after alike: along them 2 - 1/8 of 2 + 1/8.
    found = estimates(Twice(), Site("sparsity/layer", ("layer",), (0, 75)), INPUTS)
    assert found[75] == pytest.approx(1 - (1.875 / 2.125) ** 2, rel=1e-4)


@pytest.mark.parametrize(("has_norm", "is_free"), [(True, True), (False, False)])
def test_a_constant_channel_is_free_where_a_norm_makes_up_for_it(has_norm: bool, is_free: bool) -> None:
    torch.manual_seed(0)
    # The channel of least weight is 1 always, which opens the activations behind or shuts them.
    first = linear([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], bias=1.0)
    norm = nn.BatchNorm1d(6) if has_norm else nn.Identity()
    model = nn.Sequential(first, nn.Linear(3, 6, bias=False), norm, nn.ReLU(), nn.Linear(6, 4)).eval()
    inputs = torch.randn(40, 2)
    reestimate_batch_norm(model, inputs)
    found = estimates(model, Site("prune/0", ("0",), (3, 2)), inputs)[2]
    assert (found < 1e-6) == is_free


def test_a_fold_loses_what_no_line_follows() -> None:
    # ReLU of -1, 0, 1: centred (-1/3, -1/3, 2/3), of energy 2/3. The line (-1, 0, 1), scaled to that energy: their
    # product over it is the root of 3/4.
    model = nn.Sequential(linear([[1.0]]), nn.ReLU(), linear([[1.0]]))
    inputs, site = torch.tensor([[-1.0], [0.0], [1.0]]), Site("fold/0", ("0", "2"), ("off", "on"))
    assert estimates(model, site, inputs) == pytest.approx({"off": 0.0, "on": 0.25}, rel=1e-5)
    # Where everything is above 0 it is a line already.
    assert estimates(nn.Sequential(linear([[1.0]], bias=2.0), *model[1:]), site, inputs)["on"] < 1e-9


def test_a_fold_gets_its_scale_channel_by_channel() -> None:
    # ReLUs of ±1 + 2, a line, and of ±1, which is half a line; one scale for both would lose 1 - (2 + 1)² / (2 * 5).
    first = linear([[1.0, 0.0], [0.0, 1.0]])
    first.bias = nn.Parameter(torch.tensor([2.0, 0.0]))
    model = nn.Sequential(first, nn.ReLU(), linear([[1.0, 0.0], [0.0, 1.0]]))
    inputs, site = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * 2), Site("fold/0", ("0", "2"), ("off", "on"))
    assert estimates(model, site, inputs)["on"] < 1e-9


def test_a_fold_of_what_is_nearly_linear_costs_little() -> None:
    torch.manual_seed(0)
    inputs, site = torch.randn(40, 4), Site("fold/0", ("0", "2"), ("off", "on"))
    first, last = nn.Linear(4, 8), nn.Linear(8, 3)
    strong, weak = (
        estimates(nn.Sequential(first, nn.LeakyReLU(slope), last), site, inputs)["on"] for slope in (0.0, 0.9)
    )
    assert 0 < weak < 0.02 < strong


@pytest.fixture(scope="module")
def tiny_inputs(tiny_task: Task) -> Tensor:
    return tiny_task.load_data().train.inputs[:64]


@pytest.fixture(scope="module")
def normed_network(tiny_task: Task, tiny_inputs: Tensor) -> Network:
    """The tiny network with the statistics of its inputs, as after a training."""
    model = tiny_task.build_network().eval()
    reestimate_batch_norm(model, tiny_inputs)
    return trace(model, tiny_inputs[:2])


def test_every_choice_of_every_site_has_a_share(
    normed_network: Network, fast_profile: HardwareProfile, tiny_inputs: Tensor
) -> None:
    options = CompressionOptions(has_operators=True, has_stored=True)
    whole = find_space(normed_network, fast_profile.capabilities, options)
    assert {site.technique for site in whole.sites} == {
        *("fold", "prune", "operator", "rank", "bits", "sparsity", "code"),
    }
    steps: list[tuple[int, int]] = []
    found = first_order_divergences(normed_network, whole, tiny_inputs, lambda done, total: steps.append((done, total)))
    assert steps == [(done, len(whole.sites)) for done in range(1, len(whole.sites) + 1)]
    assert {name: list(each) for name, each in found.items()} == {s.name: list(s.choices) for s in whole.sites}
    assert all(found[site.name][site.neutral] == 0 for site in whole.sites)
    assert all(0 < found[site.name][choice] <= 1 for site in whole.sites for choice in site.choices[1:])


def test_choices_are_ranked_as_by_what_is_measured(
    normed_network: Network, tiny_space: SearchSpace, tiny_inputs: Tensor
) -> None:
    assert {site.technique for site in tiny_space.sites} == {"fold", "prune", "rank", "bits"}
    divergence = OutputDivergence(normed_network, tiny_inputs)
    found = first_order_divergences(normed_network, tiny_space, tiny_inputs)
    pairs = [
        (found[site.name][choice], divergence.of(Configuration.of({site.name: choice})))
        for site in tiny_space.sites
        for choice in site.choices[1:]
    ]
    correlation = rank_correlation(*zip(*pairs, strict=True))
    assert correlation is not None
    assert correlation > 0.8


@pytest.mark.parametrize("end", [lambda y: y.argmax(1), lambda y: (y, y)])
def test_without_derivatives_there_are_no_estimates(end: Callable[[Tensor], object]) -> None:
    class Ending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> object:
            return end(self.layer(x))

    network, site = trace(Ending().eval(), INPUTS), Site("bits/layer", ("layer",), (32, "bf16"))
    assert first_order_divergences(network, space(site), INPUTS) == {}


def test_the_network_is_not_touched(normed_network: Network, tiny_space: SearchSpace, tiny_inputs: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in normed_network.module.state_dict().items()}
    first, second = (first_order_divergences(normed_network, tiny_space, tiny_inputs) for _ in range(2))
    after = normed_network.module.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in normed_network.module.parameters())
    assert first == second
